//! A refused request explained, with the policies as far as they may be read.

use iam_policy::{Principal, Request};

use super::explain::{Explained, Sources, explain};
use super::refused::KnownPolicies;
use crate::bucket::admin::{Admin, Opened};
use crate::bucket::{StoreOptions, identity};
use crate::error::{Refused, Result};

/// Reads what may be read: the policies of the one who asks, and the bucket's. With neither there is nothing to
/// explain.
pub async fn explain_refusal(options: &StoreOptions, refused: &Refused) -> Option<Explained> {
    let bucket = refused.resource.split(":::").nth(1)?.split('/').next()?.to_owned();
    let arn = match identity::caller(options).await {
        Ok(caller) => caller.arn,
        // S3 names the one whom it refuses.
        Err(_) => arn_in(&refused.said)?.to_owned(),
    };
    let sources = gather(options, &arn, &bucket).await.ok()?;
    if !sources.identity_known && sources.bucket.is_none() {
        return None;
    }
    let mut request = Request::new(principal(&arn)?, &refused.action, &refused.resource);
    for (key, value) in &refused.context {
        request.context.set(key, value.as_str());
    }
    let told = explain(&sources, &request);
    // What is known of it is not what refused it.
    (!told.allowed && (sources.identity_known || !told.because.is_empty())).then_some(told)
}

/// The policies that bear on this identity's requests to the bucket, as far as these credentials may read them.
///
/// # Errors
/// As a policy that was read is none.
pub async fn gather(options: &StoreOptions, arn: &str, bucket: &str) -> Result<Sources> {
    let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
    let mut sources = Sources { account, ..Sources::default() };
    let known = read(options, arn, bucket).await;
    sources.identity_known = known.identity.is_some();
    for (name, text) in known.identity.unwrap_or_default() {
        sources.add_identity(&name, &text)?;
    }
    if let Some(text) = known.bucket {
        sources.set_bucket("bucket policy", &text)?;
    }
    Ok(sources)
}

/// The same as texts, of whoever these credentials are: for [`refused`](super::refused), now or later. What may not be
/// read, or does not answer, is not known.
pub async fn known_policies(options: &StoreOptions, bucket: &str) -> KnownPolicies {
    match identity::caller(options).await {
        Ok(caller) => read(options, &caller.arn, bucket).await,
        // Who it is need not be known to read the bucket's.
        Err(_) => of_bucket(options, bucket, KnownPolicies::default()).await,
    }
}

async fn read(options: &StoreOptions, arn: &str, bucket: &str) -> KnownPolicies {
    let identity = identity::policies_of(options, arn).await.ok();
    let known = KnownPolicies { caller: Some(arn.to_owned()), identity, ..KnownPolicies::default() };
    of_bucket(options, bucket, known).await
}

async fn of_bucket(options: &StoreOptions, bucket: &str, known: KnownPolicies) -> KnownPolicies {
    if let Ok(Opened { admin, exists: true }) = Admin::open(bucket, options.clone()).await
        && let Ok(seen) = admin.policy().await
        && let Some(text) = seen.known()
    {
        return KnownPolicies { bucket: text.clone(), bucket_known: true, ..known };
    }
    known
}

fn arn_in(said: &str) -> Option<&str> {
    let begin = said.find("arn:")?;
    said[begin..].split_whitespace().next()
}

/// The one whom an ARN names.
#[must_use]
pub fn principal(arn: &str) -> Option<Principal> {
    let mut parts = arn.splitn(6, ':').skip(4);
    let (account, what) = (parts.next()?.to_owned(), parts.next()?);
    match what.split_once('/') {
        None if what == "root" => Some(Principal::Root { account }),
        Some(("user", name)) => Some(Principal::User { account, name: name.into() }),
        Some(("assumed-role", rest)) => {
            let (role, session) = rest.rsplit_once('/')?;
            Some(Principal::RoleSession { account, role: role.into(), session: session.into() })
        }
        Some(("federated-user", name)) => Some(Principal::FederatedUser { account, name: name.into() }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_read() {
        for arn in [
            "arn:aws:iam::111122223333:user/team/anna",
            "arn:aws:sts::111122223333:assumed-role/backup/pod",
            "arn:aws:iam::111122223333:root",
        ] {
            assert_eq!(principal(arn).unwrap().arn().as_deref(), Some(arn));
        }
        for wrong in ["", "arn:aws:iam::1:group/x", "anna"] {
            assert_eq!(principal(wrong), None);
        }
        let said = "AccessDenied: User: arn:aws:iam::111122223333:user/b is not authorized";
        assert_eq!(arn_in(said), Some("arn:aws:iam::111122223333:user/b"));
    }
}
