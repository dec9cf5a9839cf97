//! Access control lists: canned ones only. Source: Amazon S3 User Guide, "Controlling ownership of objects and
//! disabling ACLs for your bucket".

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};
use sha2::{Digest, Sha256};

use super::{Answer, Api, answer};
use crate::acl::Acl;
use crate::buckets::{Content, Settings};

const EVERYONE: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const EVERYONE_WITH_AN_ACCOUNT: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

/// The list that a request gives: a canned one, or grants.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) canned: Option<String>,
    pub(super) grants: bool,
}

impl Given {
    /// From a canned list and the headers or the body with grants.
    pub(super) fn new(canned: Option<&str>, grants: &[bool]) -> Self {
        Self { canned: canned.map(str::to_owned), grants: grants.contains(&true) }
    }

    fn is_there(&self) -> bool {
        self.canned.is_some() || self.grants
    }

    fn read(&self) -> S3Result<Acl> {
        let acl = self.canned.as_deref().filter(|_| !self.grants).and_then(Acl::parse);
        acl.ok_or_else(|| s3_error!(NotImplemented, "the sandbox knows canned ACLs for people only"))
    }
}

/// The list that a request for a new object gives: three operations have the same fields for it.
macro_rules! given_acl {
    ($input:ident) => {
        $crate::api::acl::Given::new(
            $input.acl.as_ref().map(ObjectCannedACL::as_str),
            &[
                $input.grant_full_control.is_some(),
                $input.grant_read.is_some(),
                $input.grant_read_acp.is_some(),
                $input.grant_write_acp.is_some(),
            ],
        )
    };
}
pub(super) use given_acl;

fn not_supported<T>() -> S3Result<T> {
    Err(s3_error!(AccessControlListNotSupported, "The bucket does not allow ACLs"))
}

fn unless_blocked(settings: &Settings, acl: Acl) -> S3Result<Acl> {
    if acl.is_public() && settings.blocks(|block| block.block_public_acls) {
        return Err(s3_error!(
            AccessDenied,
            "public ACLs are prevented by the BlockPublicAcls setting in S3 Block Public Access"
        ));
    }
    Ok(acl)
}

/// The list of an object that is written.
pub(super) fn of_new_object(settings: &Settings, given: &Given) -> S3Result<Acl> {
    if !given.is_there() {
        return Ok(Acl::Private);
    }
    if settings.acls_disabled() {
        return match given.canned.as_deref() {
            Some("bucket-owner-full-control") if !given.grants => Ok(Acl::Private),
            _ => not_supported(),
        };
    }
    unless_blocked(settings, given.read()?)
}

/// The list of a bucket that is made.
pub(super) fn of_new_bucket(settings: &Settings, given: &Given) -> S3Result<Acl> {
    if !given.is_there() {
        return Ok(Acl::Private);
    }
    let acl = given.read()?;
    if acl.is_public() && settings.acls_disabled() {
        return Err(s3_error!(
            InvalidBucketAclWithObjectOwnership,
            "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
        ));
    }
    unless_blocked(settings, acl)
}

/// Which other ways of giving an ACL a request uses. The types of the requests differ.
macro_rules! given_grants {
    ($input:ident) => {
        [
            $input.access_control_policy.is_some(),
            $input.grant_full_control.is_some(),
            $input.grant_read.is_some(),
            $input.grant_read_acp.is_some(),
            $input.grant_write.is_some(),
            $input.grant_write_acp.is_some(),
        ]
    };
}

/// The list that replaces another.
fn replaced(settings: &Settings, given: &Given) -> S3Result<Acl> {
    if settings.acls_disabled() {
        return not_supported();
    }
    unless_blocked(settings, given.read()?)
}

pub(super) fn put_of_bucket(api: &Api, req: S3Request<PutBucketAclInput>) -> Answer<PutBucketAclOutput> {
    let input = req.input;
    let grants = given_grants!(input);
    let given = Given::new(input.acl.as_ref().map(BucketCannedACL::as_str), &grants);
    api.bucket(&input.bucket, |bucket| {
        bucket.settings.acl = replaced(&bucket.settings, &given)?;
        Ok(())
    })?;
    answer(PutBucketAclOutput {})
}

pub(super) fn get_of_bucket(api: &Api, req: S3Request<GetBucketAclInput>) -> Answer<GetBucketAclOutput> {
    let acl = api.bucket(&req.input.bucket, |bucket| {
        let settings = &bucket.settings;
        Ok(if settings.acls_disabled() { Acl::Private } else { settings.acl })
    })?;
    let (grants, owner) = written(acl, api.0.account.id());
    answer(GetBucketAclOutput { grants: Some(grants), owner: Some(owner) })
}

pub(super) fn put_of_object(api: &Api, req: S3Request<PutObjectAclInput>) -> Answer<PutObjectAclOutput> {
    let input = req.input;
    let grants = given_grants!(input);
    let given = Given::new(input.acl.as_ref().map(ObjectCannedACL::as_str), &grants);
    let acl = api.bucket(&input.bucket, |bucket| replaced(&bucket.settings, &given))?;
    let version = input.version_id.as_deref();
    let set = |content: &mut Content| {
        content.acl = acl;
        Ok(())
    };
    api.change(&req.extensions, &input.bucket, &input.key, version, set)?;
    answer(PutObjectAclOutput::default())
}

pub(super) fn get_of_object(api: &Api, req: S3Request<GetObjectAclInput>) -> Answer<GetObjectAclOutput> {
    let input = req.input;
    let disabled = api.bucket(&input.bucket, |bucket| Ok(bucket.settings.acls_disabled()))?;
    let (_, content) = match api.found(&input.bucket, &input.key, input.version_id.as_deref())? {
        Ok(found) => found,
        Err(missing) => return api.missing(&req.extensions, &input.bucket, missing),
    };
    let acl = if disabled { Acl::Private } else { content.acl };
    let (grants, owner) = written(acl, api.0.account.id());
    answer(GetObjectAclOutput { grants: Some(grants), owner: Some(owner), ..GetObjectAclOutput::default() })
}

/// A list as answers have it: the owner's grant, and those of groups.
fn written(acl: Acl, account: &str) -> (Vec<Grant>, Owner) {
    // A canonical user id is 64 hexadecimal digits that stand for an account.
    let id = hex::encode(Sha256::digest(account));
    let owner = Owner { id: Some(id.clone()), ..Owner::default() };
    let grant = |id, uri: Option<&str>, kind, permission| Grant {
        grantee: Some(Grantee {
            display_name: None,
            email_address: None,
            id,
            type_: Type::from_static(kind),
            uri: uri.map(str::to_owned),
        }),
        permission: Some(Permission::from_static(permission)),
    };
    let mut grants = vec![grant(Some(id), None, Type::CANONICAL_USER, Permission::FULL_CONTROL)];
    let group = if acl == Acl::AuthenticatedRead { EVERYONE_WITH_AN_ACCOUNT } else { EVERYONE };
    if acl.reads() {
        grants.push(grant(None, Some(group), Type::GROUP, Permission::READ));
    }
    if acl.writes() {
        grants.push(grant(None, Some(group), Type::GROUP, Permission::WRITE));
    }
    (grants, owner)
}
