//! The policies for given settings. Pure.

use iam_policy::Kind;
use serde_json::{Map, Value, json};

use super::settings::{Access, Dialect, Settings, Trust};
use crate::bucket::Sse;
use crate::bucket::actions::{Level, Role, Scope, USES, Use, When};

/// Statements whose `Sid` begins so are Strongroom's own: it may replace and remove them.
const OWN_SID: &str = "Strongroom";

/// Whether a statement with this `Sid` is Strongroom's own.
#[must_use]
pub fn is_own_sid(sid: &str) -> bool {
    sid.starts_with(OWN_SID)
}

/// What a document belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attached {
    /// An identity: its roles and its name.
    Identity {
        /// What it does.
        roles: &'static [Role],
        /// What its policy, group, user or role is called.
        name: String,
    },
    /// The bucket.
    Bucket,
    /// A role, as the answer to who may take it on.
    Trust {
        /// The role's name.
        name: String,
    },
}

/// One policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it belongs to.
    pub attached: Attached,
    /// The policy itself.
    pub policy: Value,
}

impl Document {
    /// How the policy language reads it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.attached {
            Attached::Identity { .. } => Kind::Identity,
            Attached::Bucket | Attached::Trust { .. } => Kind::Resource,
        }
    }

    /// What it is called in files and on screens.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.attached {
            Attached::Identity { name, .. } => format!("identity policy {name}"),
            Attached::Bucket => "bucket policy".into(),
            Attached::Trust { name } => format!("trust policy of role {name}"),
        }
    }
}

/// All policies for these settings: of each identity, of the bucket where one is needed, of roles.
#[must_use]
pub fn documents(settings: &Settings) -> Vec<Document> {
    let mut documents = Vec::new();
    let mut of_bucket = Vec::new();
    for (roles, role) in settings.identities() {
        let statements = match settings.access {
            Access::Classic => classic(settings),
            Access::Single | Access::Split => allowed(settings, roles),
        };
        if let Some(arn) = &settings.grant_to {
            let allowed = statements.into_iter().filter(|statement| statement["Effect"] == "Allow");
            let named = allowed.zip(["List", "Objects", "Catalogue", "Deleting", "Key"]);
            of_bucket
                .extend(named.map(|(statement, name)| for_bucket(statement, name, &json!({"AWS": [arn]}))));
            continue;
        }
        let name = settings.identity_name(role);
        documents
            .push(Document { attached: Attached::Identity { roles, name }, policy: policy(&statements) });
    }
    of_bucket.extend(denied(settings));
    if !of_bucket.is_empty() {
        documents.push(Document { attached: Attached::Bucket, policy: policy(&of_bucket) });
    }
    if let Some(trust) = &settings.trust {
        for (_, role) in settings.identities() {
            let name = settings.identity_name(role);
            let policy = policy(&[trusted(settings, trust)]);
            documents.push(Document { attached: Attached::Trust { name }, policy });
        }
    }
    documents
}

fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// The two policies of mLab's page "Securing your AWS S3 bucket", and its statements on encryption.
fn classic(settings: &Settings) -> Vec<Value> {
    let mut actions = vec!["s3:GetObject"];
    if settings.versioned {
        actions.push("s3:GetObjectVersion");
    }
    actions.extend(["s3:GetObjectAcl", "s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject"]);
    if settings.versioned {
        actions.push("s3:DeleteObjectVersion");
    }
    let bucket = settings.bucket_arn();
    let mut statements = vec![
        json!({"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": bucket}),
        json!({"Effect": "Allow", "Action": actions, "Resource": [format!("{bucket}/*")]}),
    ];
    statements.extend(classic_denials(settings));
    statements
}

/// Nothing without the header, and nothing with another value. The page writes the boolean `true`; AWS reads the
/// string the same, and Ceph's gateway takes nothing else.
fn classic_denials(settings: &Settings) -> Vec<Value> {
    let Some(mode) = settings.sse.header() else { return Vec::new() };
    let deny = |condition: Value| json!({"Effect": "Deny", "Action": "s3:PutObject", "Resource": format!("{}/*", settings.bucket_arn()), "Condition": condition});
    vec![deny(json!({"Null": {HEADER: "true"}})), deny(json!({"StringNotEquals": {HEADER: mode}}))]
}

/// A statement of the bucket policy that forbids something to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// Requests over plain HTTP.
    PlainHttp,
    /// Another encryption than the one that is required.
    OtherEncryption,
    /// Another KMS key.
    OtherKey,
    /// Keys of the client's own (SSE-C).
    CustomerKeys,
    /// A write that could replace an object.
    Overwrite,
    /// A write without the encryption header, as mLab's page forbids it.
    NoHeader,
    /// A write with another encryption header, as mLab's page forbids it.
    OtherHeader,
    /// ACLs of objects, where they cannot be switched off.
    Acls,
    /// A write with a public ACL, where ACLs cannot be switched off.
    PublicAcl,
}

impl Denial {
    /// The `Sid` of its statement.
    pub(super) fn sid(self) -> String {
        format!("{OWN_SID}{}", self.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::PlainHttp => "DenyPlainHttp",
            Self::OtherEncryption => "DenyOtherEncryption",
            Self::OtherKey => "DenyOtherKey",
            Self::CustomerKeys => "DenyCustomerKeys",
            Self::Overwrite => "DenyOverwrite",
            Self::NoHeader => "DenyNoHeader",
            Self::OtherHeader => "DenyOtherHeader",
            Self::Acls => "DenyAcls",
            Self::PublicAcl => "DenyPublicAcl",
        }
    }

    /// Its statement in a bucket policy, where there is one.
    pub(super) fn statement(self, document: &Document) -> Option<&Value> {
        let sid = self.sid();
        document.policy["Statement"].as_array()?.iter().find(|statement| statement["Sid"] == sid.as_str())
    }
}

/// The condition key of the encryption header.
pub(super) const HEADER: &str = "s3:x-amz-server-side-encryption";
/// The condition key of the KMS key.
pub(super) const HEADER_KEY: &str = "s3:x-amz-server-side-encryption-aws-kms-key-id";
/// The condition key of a write that replaces nothing.
pub(super) const IF_NONE_MATCH: &str = "s3:if-none-match";
/// The condition key of a key of the client's own (SSE-C).
pub(super) const HEADER_CUSTOMER: &str = "s3:x-amz-server-side-encryption-customer-algorithm";

/// What the table says that these roles do, and nothing else.
fn allowed(settings: &Settings, roles: &[Role]) -> Vec<Value> {
    let uses: Vec<&Use> = USES.iter().filter(|u| roles.contains(&u.role) && applies(settings, u)).collect();
    let mut statements = Vec::new();
    if let Some(mut list) =
        allow(settings, "List", &actions(&uses, Level::Bucket, None), &json!(settings.bucket_arn()))
    {
        if !settings.prefix.is_empty() {
            condition(&mut list, "StringLike", "s3:prefix", json!([format!("{}/*", settings.prefix)]));
        }
        statements.push(list);
    }
    let everything = actions(&uses, Level::Object, Some(Scope::Everything));
    statements.extend(allow(settings, "Objects", &everything, &json!(settings.object_arn("*"))));
    for (name, scope) in [("Catalogue", Scope::Catalogue), ("Deleting", Scope::Deleting)] {
        let mut narrow = actions(&uses, Level::Object, Some(scope));
        narrow.retain(|action| !everything.contains(action));
        let resources: Vec<String> = scope.patterns().iter().map(|p| settings.object_arn(p)).collect();
        statements.extend(allow(settings, name, &narrow, &json!(resources)));
    }
    if let Some(key) = settings.sse.kms_key()
        && let Some(mut statement) = allow(settings, "Key", &actions(&uses, Level::Key, None), &json!(key))
    {
        condition(
            &mut statement,
            "StringEquals",
            "kms:ViaService",
            json!(format!("s3.{}.amazonaws.com", settings.region)),
        );
        statements.push(statement);
    }
    statements
}

/// Whether a line of the table is of these settings. A key that AWS manages asks for no permission of its own.
pub(super) fn applies(settings: &Settings, line: &Use) -> bool {
    match line.when {
        When::Always => true,
        When::Unversioned => !settings.versioned,
        When::Versioned => settings.versioned,
        When::Kms => settings.sse.kms_key().is_some(),
    }
}

/// The actions of a level and scope, each once, in the table's order.
fn actions(uses: &[&Use], level: Level, scope: Option<Scope>) -> Vec<&'static str> {
    let mut actions = Vec::new();
    for line in uses {
        let fits = line.operation.level == level && scope.is_none_or(|scope| scope == line.scope);
        if fits && !actions.contains(&line.operation.action) {
            actions.push(line.operation.action);
        }
    }
    actions
}

fn allow(settings: &Settings, name: &str, actions: &[&str], resource: &Value) -> Option<Value> {
    if actions.is_empty() {
        return None;
    }
    let mut statement = json!({"Sid": format!("{OWN_SID}{name}"), "Effect": "Allow", "Action": actions, "Resource": resource});
    // A bucket of this name that a stranger makes after this one is gone gets nothing.
    if let (Some(account), Dialect::Aws) = (&settings.account, settings.dialect) {
        condition(&mut statement, "StringEquals", "aws:ResourceAccount", json!(account));
    }
    Some(statement)
}

fn condition(statement: &mut Value, operator: &str, key: &str, value: Value) {
    let Some(members) = statement.as_object_mut() else { return };
    let block = members.entry("Condition").or_insert_with(|| Value::Object(Map::new()));
    if block.get(operator).is_none() {
        block[operator] = json!({});
    }
    block[operator][key] = value;
}

/// What nobody may do to the bucket, whoever they are.
fn denied(settings: &Settings) -> Vec<Value> {
    let named = |statements: Vec<Value>| {
        let statements = statements.into_iter().zip([Denial::NoHeader, Denial::OtherHeader]);
        statements
            .map(|(statement, denial)| for_bucket(statement, denial.name(), &json!("*")))
            .collect::<Vec<_>>()
    };
    match (settings.access, settings.dialect) {
        (Access::Classic, _) => named(classic_denials(settings)),
        (_, Dialect::Ceph) => [named(classic_denials(settings)), acl_denials(settings)].concat(),
        (_, Dialect::Aws) => modern_denials(settings),
    }
}

/// Where ACLs cannot be switched off: who writes an object owns it, and could make it public.
fn acl_denials(settings: &Settings) -> Vec<Value> {
    let objects = format!("{}/*", settings.bucket_arn());
    let public =
        json!({"StringEquals": {"s3:x-amz-acl": ["public-read", "public-read-write", "authenticated-read"]}});
    vec![
        json!({"Sid": Denial::Acls.sid(), "Effect": "Deny", "Principal": "*", "Action": "s3:PutObjectAcl", "Resource": objects}),
        json!({"Sid": Denial::PublicAcl.sid(), "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
               "Resource": objects, "Condition": public}),
    ]
}

/// The same statement in a bucket policy, where it says for whom it is, and whose it is.
fn for_bucket(statement: Value, name: &str, principal: &Value) -> Value {
    let Value::Object(mut members) = statement else { return statement };
    let mut all = Map::new();
    let sid = members.remove("Sid").unwrap_or_else(|| json!(format!("{OWN_SID}{name}")));
    all.insert("Sid".into(), sid);
    all.insert("Effect".into(), members.remove("Effect").unwrap_or_default());
    all.insert("Principal".into(), principal.clone());
    let rest = ["Action", "Resource", "Condition"];
    all.extend(rest.iter().filter_map(|name| Some(((*name).to_owned(), members.remove(*name)?))));
    Value::Object(all)
}

fn modern_denials(settings: &Settings) -> Vec<Value> {
    let bucket = settings.bucket_arn();
    let objects = format!("{bucket}/*");
    let deny = |denial: Denial, action: &str, resource: Value, condition: Value| {
        json!({"Sid": denial.sid(), "Effect": "Deny", "Principal": "*", "Action": action,
               "Resource": resource, "Condition": condition})
    };
    let mut statements = vec![deny(
        Denial::PlainHttp,
        "s3:*",
        json!([bucket, objects]),
        json!({"Bool": {"aws:SecureTransport": "false"}}),
    )];
    if let Some(mode) = settings.sse.header() {
        let mut condition = json!({"StringNotEquals": {HEADER: [mode]}});
        if !settings.header_required {
            condition["Null"] = json!({HEADER: "false"});
        }
        statements.push(deny(Denial::OtherEncryption, "s3:PutObject", json!(objects), condition));
    }
    if let Some(key) = settings.sse.kms_key() {
        let mut condition = json!({"StringNotEquals": {HEADER_KEY: key}});
        if !settings.header_required {
            condition["Null"] = json!({HEADER_KEY: "false"});
        }
        statements.push(deny(Denial::OtherKey, "s3:PutObject", json!(objects), condition));
    }
    statements.push(deny(
        Denial::CustomerKeys,
        "s3:PutObject",
        json!(objects),
        json!({"Null": {HEADER_CUSTOMER: "false"}}),
    ));
    // Parts of an upload create no object yet: only what does needs the condition.
    statements.push(deny(
        Denial::Overwrite,
        "s3:PutObject",
        json!(settings.object_arn("*")),
        json!({"Null": {IF_NONE_MATCH: "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}),
    ));
    statements
}

/// Who may take the role on (IAM User Guide, "The confused deputy problem" and "OIDC federation").
fn trusted(settings: &Settings, trust: &Trust) -> Value {
    let partition = super::partition(&settings.region);
    let own = settings.account.as_deref().unwrap_or("ACCOUNT");
    match trust {
        Trust::Account => {
            json!({"Effect": "Allow", "Principal": {"AWS": format!("arn:{partition}:iam::{own}:root")},
                                 "Action": "sts:AssumeRole"})
        }
        Trust::CrossAccount { account, external_id } => {
            json!({"Effect": "Allow", "Principal": {"AWS": format!("arn:{partition}:iam::{account}:root")},
                   "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": external_id}}})
        }
        Trust::Kubernetes { provider, service_account } => {
            json!({"Effect": "Allow",
                   "Principal": {"Federated": format!("arn:{partition}:iam::{own}:oidc-provider/{provider}")},
                   "Action": "sts:AssumeRoleWithWebIdentity",
                   "Condition": {"StringEquals": {
                       format!("{provider}:aud"): "sts.amazonaws.com",
                       format!("{provider}:sub"): format!("system:serviceaccount:{service_account}")}}})
        }
    }
}

/// Whether these settings let the encryption header be left out.
pub(super) fn header_may_be_missing(settings: &Settings) -> bool {
    settings.sse == Sse::None
        || (settings.access != Access::Classic
            && settings.dialect == Dialect::Aws
            && !settings.header_required)
}

#[cfg(test)]
mod tests {
    use iam_policy::{Decision, Named, Policies, Policy, Principal, Request, decide};

    use super::*;
    use crate::location::Location;

    fn settings(access: Access) -> Settings {
        let location: Location = "s3://backups/shop".parse().unwrap();
        Settings { access, ..Settings::of(&location).unwrap() }
    }

    fn parsed(documents: &[Document]) -> Vec<Policy> {
        documents.iter().map(|d| Policy::parse(&d.policy.to_string(), d.kind()).unwrap()).collect()
    }

    #[test]
    fn the_classic_policies_are_those_of_the_page() {
        let mut settings = settings(Access::Classic);
        settings.sse = Sse::None;
        let first = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": "arn:aws:s3:::backups"},
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectAcl", "s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject"],
             "Resource": ["arn:aws:s3:::backups/*"]}]});
        let made = documents(&settings);
        assert_eq!((made.len(), &made[0].policy), (1, &first));
        settings.versioned = true;
        let second = json!([
            "s3:GetObject",
            "s3:GetObjectVersion",
            "s3:GetObjectAcl",
            "s3:PutObject",
            "s3:PutObjectAcl",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion"
        ]);
        assert_eq!(documents(&settings)[0].policy["Statement"][1]["Action"], second);
        settings.sse = Sse::Aes256;
        let made = documents(&settings);
        assert_eq!(made[0].policy["Statement"][2]["Condition"], json!({"Null": {HEADER: "true"}}));
        assert_eq!(
            made[0].policy["Statement"][3]["Condition"],
            json!({"StringNotEquals": {HEADER: "AES256"}})
        );
        assert_eq!(made[1].policy["Statement"][1]["Principal"], "*");
    }

    /// What comes of a request under the policies of an identity and of the bucket.
    fn judge(
        documents: &[Document],
        identity: usize,
        action: &str,
        key: Option<&str>,
        context: &[(&str, &str)],
    ) -> Decision {
        let policies = parsed(documents);
        let bucket = documents.iter().position(|d| d.attached == Attached::Bucket).map(|i| &policies[i]);
        let identity = [Named::new("identity", &policies[identity])];
        let resource =
            key.map_or("arn:aws:s3:::backups".to_owned(), |key| format!("arn:aws:s3:::backups/{key}"));
        let mut request = Request::new(Principal::user("111122223333", "b"), action, &resource);
        request.context.set("aws:SecureTransport", "true");
        for (key, value) in context {
            request.context.set(key, *value);
        }
        let policies = Policies {
            identity: &identity,
            resource: bucket.map(|policy| Named::new("bucket", policy)),
            ..Policies::in_account("111122223333")
        };
        decide(&policies, &request)
    }

    const NEW: [(&str, &str); 2] = [("s3:if-none-match", "*"), ("s3:ObjectCreationOperation", "true")];

    #[test]
    fn a_writer_can_neither_read_nor_delete_and_a_restorer_not_write() {
        let made = documents(&settings(Access::Split));
        for (identity, action, key, wanted) in [
            (0, "s3:PutObject", "shop/default/a", Decision::Allow),
            (0, "s3:GetObject", "shop/default/a", Decision::ImplicitDeny),
            (0, "s3:DeleteObject", "shop/default/a", Decision::ImplicitDeny),
            (0, "s3:PutObject", "other/a", Decision::ImplicitDeny),
            (1, "s3:GetObject", "shop/default/a", Decision::Allow),
            (1, "s3:PutObject", "shop/default/a", Decision::ImplicitDeny),
            (2, "s3:DeleteObject", "shop/default/a", Decision::Allow),
            (2, "s3:GetObject", "shop/default/x/manifest.json", Decision::Allow),
            (2, "s3:GetObject", "shop/default/x/segments/1.zst", Decision::ImplicitDeny),
            (2, "s3:PutObject", "shop/default/x/deleting.json", Decision::Allow),
            (2, "s3:PutObject", "shop/default/x/manifest.json", Decision::ImplicitDeny),
        ] {
            assert_eq!(judge(&made, identity, action, Some(key), &NEW), wanted, "{identity} {action} {key}");
        }
        let list = |prefix| judge(&made, 1, "s3:ListBucket", None, &[("s3:prefix", prefix)]);
        assert_eq!((list("shop/"), list("")), (Decision::Allow, Decision::ImplicitDeny));
    }

    #[test]
    fn the_bucket_refuses_wrong_encryption_plain_http_and_overwriting() {
        let relaxed = settings(Access::Single);
        let strict = Settings { header_required: true, ..relaxed.clone() };
        let put = |settings: &Settings, more: &[(&str, &str)]| {
            judge(&documents(settings), 0, "s3:PutObject", Some("shop/a"), &[&NEW[..], more].concat())
        };
        assert_eq!(put(&relaxed, &[]), Decision::Allow);
        assert_eq!(put(&strict, &[]), Decision::ExplicitDeny);
        for settings in [&relaxed, &strict] {
            assert_eq!(put(settings, &[(HEADER, "AES256")]), Decision::Allow);
            assert_eq!(put(settings, &[(HEADER, "aws:kms")]), Decision::ExplicitDeny);
            assert_eq!(
                put(settings, &[(HEADER, "AES256"), (HEADER_CUSTOMER, "AES256")]),
                Decision::ExplicitDeny
            );
            assert_eq!(
                put(settings, &[(HEADER, "AES256"), ("aws:SecureTransport", "false")]),
                Decision::ExplicitDeny
            );
        }
        let overwrite = judge(&documents(&relaxed), 0, "s3:PutObject", Some("shop/a"), &[NEW[1]]);
        assert_eq!(overwrite, Decision::ExplicitDeny);
    }

    #[test]
    fn every_document_parses_for_all_settings() {
        for access in [Access::Classic, Access::Single, Access::Split] {
            for versioned in [false, true] {
                for sse in [
                    Sse::None,
                    Sse::Aes256,
                    Sse::Dsse(Some("arn:aws:kms:eu-west-1:111122223333:key/k".into())),
                ] {
                    for dialect in [Dialect::Aws, Dialect::Ceph] {
                        let trust = Some(Trust::CrossAccount {
                            account: "444455556666".into(),
                            external_id: "e".into(),
                        });
                        let account = Some("111122223333".to_owned());
                        let made = documents(&Settings {
                            versioned,
                            sse: sse.clone(),
                            dialect,
                            trust,
                            account,
                            ..settings(access)
                        });
                        for document in &made {
                            // A trust policy names no resource, which other policies must.
                            if !matches!(document.attached, Attached::Trust { .. }) {
                                Policy::parse(&document.policy.to_string(), document.kind()).unwrap();
                            }
                        }
                    }
                }
            }
        }
    }
}
