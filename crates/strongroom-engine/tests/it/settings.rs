//! The written form of settings: what a service stores and an API takes. A change here is a change for every stored
//! plan, so each aggregate is held against a file.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use strongroom_engine::bucket::StoreOptions;
use strongroom_engine::settings::{read, write};
use strongroom_engine::{BackupId, Code, Location, Name, backup, guard, restore};

/// What is written reads back as the same settings, and they are written as before.
#[track_caller]
fn golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(written: &str) -> T {
    let settings: T = read(written).unwrap();
    assert_eq!(write(&settings).unwrap(), written);
    assert_eq!(read::<T>(&write(&settings).unwrap()).unwrap(), settings);
    settings
}

/// Each of these is refused with [`Code::Usage`], says `why`, and says what to do.
#[track_caller]
fn refused<T: DeserializeOwned + Debug>(cases: &[(&str, &str)]) {
    for (json, why) in cases {
        let error = read::<T>(json).unwrap_err();
        assert_eq!(error.code(), Code::Usage, "{json}");
        assert!(error.message().contains(why), "{json}: {error:?}");
        assert!(error.help_text().is_some(), "{json}: {error:?}");
    }
}

#[test]
fn a_backups_settings_have_one_written_form() {
    let all: backup::Options = golden(include_str!("../golden/backup-settings.json"));
    assert_eq!(all.max_rate.unwrap().get(), 50_000_000);
    assert_eq!(all.query.unwrap().document().get_str("status").unwrap(), "open");
    assert_eq!(read::<backup::Options>("{}").unwrap(), backup::Options::default());
    refused::<backup::Options>(&[
        (r#"{"colour": "red"}"#, "unknown field `colour`"),
        (r#"{"filter": {"only": []}}"#, "unknown field `only`"),
        (r#"{"filter": {"include": ["shop"]}}"#, "the pattern `shop` matches no namespace"),
        (r#"{"plan": "a/b"}"#, "`a/b` cannot name a plan"),
        (r#"{"readers": 0}"#, "0 cannot be done at once"),
        (r#"{"compression": "lz4"}"#, "`lz4` is not a compression"),
        (r#"{"compression": {"method": "zstd", "level": 3}}"#, "expected a string"),
        (r#"{"consistency": "eventual"}"#, "`eventual` is not a consistency"),
        (r#"{"query": "status"}"#, "expected"),
        (r#"{"sse": "aes256"}"#, "`aes256` is not an encryption"),
        (r#"{"max-lag": "soon"}"#, "`soon` is not a duration"),
        (r#"{"max-rate": "0MB"}"#, "`0MB` is not a size"),
    ]);
}

#[test]
fn a_restores_settings_have_one_written_form() {
    let all: restore::Options = golden(include_str!("../golden/restore-settings.json"));
    all.check().unwrap();
    assert_eq!(all.renames.apply("shop", "orders"), Name::new("shop_copy", "orders"));
    assert_eq!(read::<restore::Options>("{}").unwrap(), restore::Options::default());
    refused::<restore::Options>(&[
        (r#"{"drop": true}"#, "unknown field `drop`"),
        (r#"{"renames": ["shop"]}"#, "cannot rename by `shop`"),
        (r#"{"existing": "replace"}"#, "`replace` is not a treatment of collections that exist"),
        (r#"{"indexes": "some"}"#, "`some` is not a treatment of indexes"),
        (r#"{"users": "all"}"#, "`all` is not a treatment of users and roles"),
        (r#"{"at": "noon"}"#, "`noon`"),
        (r#"{"writers": 65}"#, "65 cannot be done at once"),
    ]);
    let both = read::<restore::Options>(r#"{"indexes": "only", "users": "only"}"#).unwrap();
    assert_eq!(both.check().unwrap_err().code(), Code::Usage);
}

#[test]
fn a_location_and_its_options_have_one_written_form() {
    let _: Vec<Location> = golden(include_str!("../golden/locations.json"));
    let _: StoreOptions = golden(include_str!("../golden/store-settings.json"));
    refused::<Location>(&[(r#""gs://bucket""#, "cannot use `gs://bucket` as a backup location")]);
    refused::<BackupId>(&[(r#""latest""#, "`latest` is not the name of a backup")]);
    refused::<StoreOptions>(&[
        (r#"{"key": {"id": "AKIA", "secret": "hush"}}"#, "unknown field `key`"),
        (r#"{"user": 1}"#, "unknown field `user`"),
        (r#"{"checksum": "crc32"}"#, "`crc32` is not a checksum"),
        (r#"{"role": {"external-id": "acme-7"}}"#, "missing field `arn`"),
        (r#"{"role": {"arn": "arn:aws:iam::1:role/b", "mfa": "1"}}"#, "unknown field `mfa`"),
    ]);
}

#[test]
fn what_secures_a_bucket_has_one_written_form() {
    let all: guard::Settings = golden(include_str!("../golden/bucket-settings.json"));
    assert_eq!(all.object_lock.unwrap().days, 30);
    let role: guard::Settings = golden(include_str!("../golden/bucket-settings-role.json"));
    assert!(matches!(role.trust, Some(guard::Trust::Kubernetes { .. })));
    let plain = guard::Settings::of(&"s3://backups/shop".parse().unwrap()).unwrap();
    assert_eq!(read::<guard::Settings>(r#"{"location": "s3://backups/shop"}"#).unwrap(), plain);
    refused::<guard::Settings>(&[
        ("{}", "missing field `location`"),
        (r#"{"location": "file:///var/backups"}"#, "is a folder: it has no policies"),
        (r#"{"location": "s3://backups", "colour": 1}"#, "unknown field `colour`"),
        (r#"{"location": "s3://backups", "access": "double"}"#, "`double` is not a way to give access"),
        (r#"{"location": "s3://backups", "server": "minio"}"#, "`minio` is not a kind of server"),
        (r#"{"location": "s3://backups", "object-lock": "30d"}"#, "`30d` is not a lock"),
        (r#"{"location": "s3://backups", "object-lock": "governance:30d"}"#, "needs a bucket with versions"),
        (r#"{"location": "s3://backups", "account": "12"}"#, "twelve digits"),
        (r#"{"location": "s3://backups", "trust": {"kubernetes": {"provider": "x"}}}"#, "missing field"),
    ]);
}

#[test]
fn an_access_key_is_never_written() {
    let key = strongroom_engine::bucket::AccessKey {
        id: "AKIAEXAMPLE".into(),
        secret: "hush".into(),
        session_token: None,
    };
    let options = StoreOptions { key: Some(key), ..StoreOptions::default() };
    assert_eq!(write(&options).unwrap(), "{}\n");
}
