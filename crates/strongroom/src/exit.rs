//! Exit statuses: one for each kind of outcome, so that a script can tell them apart.

use strongroom_engine::error::Code;

/// Statuses and what they mean, as the help and the README list them.
pub(crate) const TABLE: [(u8, &str); 11] = [
    (0, "done"),
    (1, "a fault in Strongroom or this machine"),
    (2, "wrong usage: an option, the URI or the location"),
    (3, "MongoDB: no connection, refused, or an error"),
    (4, "storage: no connection, denied, wrong key or region, no space"),
    (5, "damaged, or made by a newer Strongroom"),
    (6, "the target of the restore is not empty, or changed meanwhile"),
    (7, "there is no such backup"),
    (8, "done, but something is missing; it was listed"),
    (9, "the bucket's security is not as it should be; it was listed"),
    (130, "cancelled"),
];

/// The exit status of a command that ends with an error of this code.
pub(crate) fn status(code: Code) -> u8 {
    match code {
        Code::Usage | Code::Uri | Code::Location | Code::NotReplayable | Code::SeveralPlans => 2,
        Code::MongoHost | Code::MongoAuth | Code::MongoPrivilege | Code::Mongo | Code::SnapshotTooOld => 3,
        Code::StoreHost
        | Code::Store
        | Code::NotOffered
        | Code::BucketMissing
        | Code::BucketRegion
        | Code::BucketNotEmpty
        | Code::Key
        | Code::Denied
        | Code::Clock
        | Code::Encryption
        | Code::Space
        | Code::ObjectExists => 4,
        Code::ObjectMissing | Code::Damaged | Code::NewerFormat => 5,
        Code::TargetNotEmpty | Code::TargetChanged => 6,
        Code::NotABackup => 7,
        Code::Incomplete => 8,
        Code::NotProved => 9,
        Code::Cancelled => 130,
        Code::Internal => 1,
    }
}
