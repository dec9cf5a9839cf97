//! What is asked.

use std::collections::BTreeMap;

use crate::principal::Principal;

/// Values of condition keys. Names are without case; a key may have several values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// Gives a key one value, replacing what it had.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.0.insert(key.to_ascii_lowercase(), vec![value.into()]);
    }

    /// Gives a key several values, or none at all.
    pub fn set_all(&mut self, key: &str, values: Vec<String>) {
        self.0.insert(key.to_ascii_lowercase(), values);
    }

    /// Takes a key away: it is missing then.
    pub fn remove(&mut self, key: &str) {
        self.0.remove(&key.to_ascii_lowercase());
    }

    /// The values of a key, whose name is in lower case; none if it is missing.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[String]> {
        self.0.get(key).map(Vec::as_slice)
    }

    /// All keys, in lower case, and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(key, values)| (key.as_str(), values.as_slice()))
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub principal: Principal,
    /// What for, such as `s3:PutObject`.
    pub action: String,
    /// On what, as an ARN.
    pub resource: String,
    /// Under which circumstances.
    pub context: Context,
}

impl Request {
    /// A request without context, but for the keys that the principal itself gives: `aws:PrincipalArn`,
    /// `aws:PrincipalAccount`, `aws:username`.
    #[must_use]
    pub fn new(principal: Principal, action: &str, resource: &str) -> Self {
        let mut context = Context::default();
        if let Some(account) = principal.account() {
            context.set("aws:PrincipalAccount", account);
        }
        if let Some(arn) = principal.context_arn() {
            context.set("aws:PrincipalArn", arn);
        }
        if let Principal::User { name, .. } = &principal {
            context.set("aws:username", name.as_str());
        }
        Self { principal, action: action.into(), resource: resource.into(), context }
    }
}

/// A request with what is derived from it once, and not for every statement.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    request: &'a Request,
    action: String,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(request: &'a Request) -> Self {
        Self { request, action: request.action.to_ascii_lowercase() }
    }

    pub(crate) fn request(&self) -> &'a Request {
        self.request
    }

    /// The action, in lower case.
    pub(crate) fn action(&self) -> &str {
        &self.action
    }
}
