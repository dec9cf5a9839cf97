//! From a request to its decision.

mod action;
mod judge;
mod request;

use std::sync::Arc;

use iam_policy::{Policy, Principal, Request};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use self::request::Query;
use crate::features;
use crate::state::State;

/// Who sent a request, and from where: kept with the request for what is judged later.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) request: Request,
    pub(crate) operation: String,
    /// The most that its session may do.
    pub(crate) session: Option<Arc<Policy>>,
}

impl Caller {
    /// The same caller, asking for something else.
    pub(crate) fn asking(&self, action: &str, resource: &str) -> Self {
        let mut other = self.clone();
        other.request.action = action.into();
        other.request.resource = resource.into();
        other
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Guard(pub(crate) Arc<State>);

#[async_trait::async_trait]
impl S3Auth for Guard {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.0.key(access_key) {
            Some(key) => Ok(key.secret.into()),
            None => Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            )),
        }
    }
}

#[async_trait::async_trait]
impl S3Access for Guard {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = cx.s3_op().name().to_owned();
        self.0.decisions.count(&operation);
        features::check(&self.0.missing, &operation, cx.headers())?;
        check_expected_owner(cx, self.0.account.id())?;
        let (principal, session) = self.caller(cx)?;
        let request = request::request(&self.0, cx, &operation, principal)?;
        let caller = Caller { request, operation, session };
        let judged = self.judge(cx, &caller);
        cx.extensions_mut().insert(caller);
        judged
    }
}

/// Who asks for a bucket of a certain account gets no other's (Amazon S3 User Guide, "Verifying bucket ownership
/// with bucket owner condition").
fn check_expected_owner(cx: &S3AccessContext<'_>, owner: &str) -> S3Result<()> {
    let names = ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"];
    let mut expected = names.iter().filter_map(|name| cx.headers().get(*name));
    match expected.all(|expected| expected.as_bytes() == owner.as_bytes()) {
        true => Ok(()),
        false => Err(s3_error!(AccessDenied, "Access Denied")),
    }
}

impl Guard {
    /// Who signed, and the policy of the session that the key belongs to.
    fn caller(&self, cx: &S3AccessContext<'_>) -> S3Result<(Principal, Option<Arc<Policy>>)> {
        let Some(credentials) = cx.credentials() else { return Ok((Principal::Anonymous, None)) };
        let key = self.0.key(&credentials.access_key).ok_or_else(|| s3_error!(InvalidAccessKeyId))?;
        let query = Query::of(cx);
        let header = cx.headers().get("x-amz-security-token").and_then(|value| value.to_str().ok());
        let given = header.or_else(|| query.get("X-Amz-Security-Token"));
        if given != key.session.as_ref().map(|session| session.token.as_str()) {
            return Err(s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid."));
        }
        Ok((key.owner, key.session.and_then(|session| session.policy)))
    }

    /// Judges an operation, with what it reads and what its headers ask for besides.
    fn judge(&self, cx: &S3AccessContext<'_>, caller: &Caller) -> S3Result<()> {
        match caller.operation.as_str() {
            // Each of its keys is judged alone.
            "DeleteObjects" => return Ok(()),
            // Judged when their bodies are read: condition keys are in there.
            "PutObjectRetention" | "PutObjectLegalHold" => return Ok(()),
            "CopyObject" => self.0.judge(&request::source_of(cx, caller)?)?,
            _ => {}
        }
        self.0.judge(caller)?;
        for action in action::besides(&caller.operation, cx.headers()) {
            self.0.judge(&caller.asking(action, &caller.request.resource))?;
        }
        Ok(())
    }
}
