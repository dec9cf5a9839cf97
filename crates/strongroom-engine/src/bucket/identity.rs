//! Users, groups, roles and their policies: IAM and STS, with an admin's credentials, or as far as one's own may look.

use aws_config::SdkConfig;
use aws_sdk_iam::Client;
use aws_sdk_iam::error::SdkError;

use super::AccessKey;
use super::actions::Operation;
use super::admin::Admin;
use super::administration;
use super::explain::Asked;
use super::facts::{Caller, GroupFacts, IdentityFacts, ManagedPolicy, RoleFacts, UserFacts};
use super::failure::{Failure, SdkFailure};
use super::{StoreOptions, session};
use crate::error::{Code, Error, Result};

/// A managed policy has at most five versions (IAM User Guide, "IAM and AWS STS quotas").
const VERSIONS_MAX: usize = 5;

fn refused(failure: &Failure, operation: Operation) -> Error {
    // No policy of the bucket bears on it, so nobody is asked to explain it.
    failure.explain(&Asked {
        operation,
        bucket: "",
        prefix: "",
        key: "",
        sse: None,
        profile: None,
        role: None,
    })
}

fn done<T, E: SdkFailure>(answer: Result<T, SdkError<E>>, operation: Operation) -> Result<T> {
    answer.map_err(|error| refused(&Failure::of(&error), operation))
}

/// An answer, or nothing where there is no such thing.
fn found<T, E: SdkFailure>(answer: Result<T, SdkError<E>>, operation: Operation) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => match Failure::of(&error) {
            failure if failure.code() == "NoSuchEntity" => Ok(None),
            failure => Err(refused(&failure, operation)),
        },
    }
}

/// The same change again: what is there, or gone, already is no error.
fn changed<T, E: SdkFailure>(
    answer: Result<T, SdkError<E>>,
    operation: Operation,
    already: &str,
) -> Result<()> {
    match answer {
        Ok(_) => Ok(()),
        Err(error) => match Failure::of(&error) {
            failure if failure.code() == already => Ok(()),
            failure => Err(refused(&failure, operation)),
        },
    }
}

const THERE: &str = "EntityAlreadyExists";
const GONE: &str = "NoSuchEntity";

/// Who these credentials are. Needs no permission.
///
/// # Errors
/// As the server cannot be reached, or knows no STS.
pub async fn caller(options: &StoreOptions) -> Result<Caller> {
    caller_of(&session::shared(options, None).await?).await
}

async fn caller_of(shared: &SdkConfig) -> Result<Caller> {
    let answer = aws_sdk_sts::Client::new(shared).get_caller_identity().send().await;
    let answer = done(answer, administration::GET_CALLER_IDENTITY)?;
    match (answer.account, answer.arn) {
        (Some(account), Some(arn)) => Ok(Caller { account, arn }),
        _ => Err(Error::new(Code::StoreHost, "GetCallerIdentity answered without an account")),
    }
}

/// Texts of the policies of a user or a role, by name.
pub type PolicyTexts = Vec<(String, String)>;

/// The policies of an identity, named by its ARN: its own, its groups', attached and inline.
///
/// # Errors
/// [`Code::Denied`] where these credentials may not look.
pub async fn policies_of(options: &StoreOptions, arn: &str) -> Result<PolicyTexts> {
    let shared = session::shared(options, None).await?;
    let iam = Iam(Client::new(&shared));
    let name = arn.rsplit('/').next().unwrap_or_default();
    if arn.contains(":assumed-role/") {
        let role = arn.rsplit('/').nth(1).unwrap_or_default();
        return iam.policies_of_role(role).await;
    }
    if arn.contains(":user/") {
        return iam.policies_of_user(name).await;
    }
    Err(Error::new(Code::Usage, format!("`{arn}` is neither a user nor a role")))
}

#[derive(Debug)]
struct Iam(Client);

impl Iam {
    async fn policies_of_user(&self, user: &str) -> Result<PolicyTexts> {
        let mut texts = Vec::new();
        let listed = self.0.list_user_policies().user_name(user).send().await;
        for name in done(listed, administration::LIST_USER_POLICIES)?.policy_names {
            let got = self.0.get_user_policy().user_name(user).policy_name(&name).send().await;
            let got = done(got, administration::GET_USER_POLICY)?;
            texts.push((format!("policy {name} in user {user}"), decoded(&got.policy_document)));
        }
        let attached = self.0.list_attached_user_policies().user_name(user).send().await;
        let attached = done(attached, administration::LIST_ATTACHED_USER_POLICIES)?;
        for policy in attached.attached_policies() {
            texts.extend(self.managed(policy.policy_arn(), &format!("of user {user}")).await?);
        }
        let groups = self.0.list_groups_for_user().user_name(user).send().await;
        for group in done(groups, administration::LIST_GROUPS_FOR_USER)?.groups {
            texts.extend(self.policies_of_group(group.group_name()).await?);
        }
        Ok(texts)
    }

    async fn policies_of_group(&self, group: &str) -> Result<PolicyTexts> {
        let mut texts = Vec::new();
        let listed = self.0.list_group_policies().group_name(group).send().await;
        for name in done(listed, administration::LIST_GROUP_POLICIES)?.policy_names {
            let got = self.0.get_group_policy().group_name(group).policy_name(&name).send().await;
            let got = done(got, administration::GET_GROUP_POLICY)?;
            texts.push((format!("policy {name} in group {group}"), decoded(&got.policy_document)));
        }
        for arn in self.attached_to_group(group).await? {
            texts.extend(self.managed(Some(&arn), &format!("of group {group}")).await?);
        }
        Ok(texts)
    }

    async fn policies_of_role(&self, role: &str) -> Result<PolicyTexts> {
        let mut texts = Vec::new();
        let listed = self.0.list_role_policies().role_name(role).send().await;
        for name in done(listed, administration::LIST_ROLE_POLICIES)?.policy_names {
            let got = self.0.get_role_policy().role_name(role).policy_name(&name).send().await;
            let got = done(got, administration::GET_ROLE_POLICY)?;
            texts.push((format!("policy {name} in role {role}"), decoded(&got.policy_document)));
        }
        for arn in self.attached_to_role(role).await? {
            texts.extend(self.managed(Some(&arn), &format!("of role {role}")).await?);
        }
        Ok(texts)
    }

    async fn managed(&self, arn: Option<&str>, of: &str) -> Result<Option<(String, String)>> {
        let Some(arn) = arn else { return Ok(None) };
        let name = arn.rsplit('/').next().unwrap_or(arn);
        let policy = self.policy(arn).await?;
        Ok(policy.map(|policy| (format!("policy {name} {of}"), policy.text)))
    }

    async fn policy(&self, arn: &str) -> Result<Option<ManagedPolicy>> {
        let got = self.0.get_policy().policy_arn(arn).send().await;
        let Some(got) = found(got, administration::GET_POLICY)? else { return Ok(None) };
        let version = got.policy.and_then(|policy| policy.default_version_id).unwrap_or_default();
        let got = self.0.get_policy_version().policy_arn(arn).version_id(version).send().await;
        let got = done(got, administration::GET_POLICY_VERSION)?;
        let text = got.policy_version.and_then(|version| version.document).unwrap_or_default();
        Ok(Some(ManagedPolicy { arn: arn.into(), text: decoded(&text) }))
    }

    async fn attached_to_group(&self, group: &str) -> Result<Vec<String>> {
        let attached = self.0.list_attached_group_policies().group_name(group).send().await;
        let attached = done(attached, administration::LIST_ATTACHED_GROUP_POLICIES)?;
        Ok(attached.attached_policies().iter().filter_map(|p| p.policy_arn().map(str::to_owned)).collect())
    }

    async fn attached_to_role(&self, role: &str) -> Result<Vec<String>> {
        let attached = self.0.list_attached_role_policies().role_name(role).send().await;
        let attached = done(attached, administration::LIST_ATTACHED_ROLE_POLICIES)?;
        Ok(attached.attached_policies().iter().filter_map(|p| p.policy_arn().map(str::to_owned)).collect())
    }

    async fn keys(&self, user: &str) -> Result<Vec<String>> {
        let listed = self.0.list_access_keys().user_name(user).send().await;
        let listed = done(listed, administration::LIST_ACCESS_KEYS)?;
        Ok(listed
            .access_key_metadata()
            .iter()
            .filter_map(|key| key.access_key_id().map(str::to_owned))
            .collect())
    }

    /// Makes room: the oldest versions that are not in force go.
    async fn make_room(&self, arn: &str) -> Result<()> {
        let listed = self.0.list_policy_versions().policy_arn(arn).send().await;
        let versions = done(listed, administration::LIST_POLICY_VERSIONS)?.versions.unwrap_or_default();
        let mut old: Vec<_> = versions.iter().filter(|version| !version.is_default_version()).collect();
        old.sort_by_key(|version| version.create_date().map(aws_sdk_iam::primitives::DateTime::secs));
        let surplus = (versions.len() + 1).saturating_sub(VERSIONS_MAX);
        for version in old.into_iter().take(surplus) {
            let id = version.version_id().unwrap_or_default();
            let deleted = self.0.delete_policy_version().policy_arn(arn).version_id(id).send().await;
            done(deleted, administration::DELETE_POLICY_VERSION)?;
        }
        Ok(())
    }
}

/// IAM gives documents percent-encoded (RFC 3986).
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The account's side of an [`Admin`].
impl Admin {
    fn iam(&self) -> Iam {
        Iam(Client::new(&self.shared))
    }

    /// Whose credentials these are.
    ///
    /// # Errors
    /// As the server cannot be reached, or knows no STS.
    pub async fn caller(&self) -> Result<Caller> {
        caller_of(&self.shared).await
    }

    /// What there is of this name.
    ///
    /// # Errors
    /// [`Code::Denied`] where these credentials may not look.
    pub async fn identity(&self, name: &str, policy_arn: &str) -> Result<IdentityFacts> {
        let iam = self.iam();
        let group = iam.0.get_group().group_name(name).send().await;
        let group = match found(group, administration::GET_GROUP)? {
            None => None,
            Some(group) => {
                let users = group.users().iter().map(|user| user.user_name().to_owned()).collect();
                Some(GroupFacts { policies: iam.attached_to_group(name).await?, users })
            }
        };
        let user = iam.0.get_user().user_name(name).send().await;
        let user = match found(user, administration::GET_USER)? {
            None => None,
            Some(_) => Some(UserFacts { access_keys: iam.keys(name).await? }),
        };
        let role = iam.0.get_role().role_name(name).send().await;
        let role = match found(role, administration::GET_ROLE)?.and_then(|role| role.role) {
            None => None,
            Some(role) => {
                let trust = decoded(role.assume_role_policy_document().unwrap_or_default());
                Some(RoleFacts { trust, policies: iam.attached_to_role(name).await? })
            }
        };
        Ok(IdentityFacts { policy: iam.policy(policy_arn).await?, group, user, role })
    }

    /// Makes a managed policy.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn create_policy(&self, name: &str, text: &str) -> Result<()> {
        let created = self.iam().0.create_policy().policy_name(name).policy_document(text).send().await;
        changed(created, administration::CREATE_POLICY, THERE)
    }

    /// Makes a new version of a managed policy, which is in force at once.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn change_policy(&self, arn: &str, text: &str) -> Result<()> {
        let iam = self.iam();
        iam.make_room(arn).await?;
        let created = iam
            .0
            .create_policy_version()
            .policy_arn(arn)
            .policy_document(text)
            .set_as_default(true)
            .send()
            .await;
        done(created, administration::CREATE_POLICY_VERSION)?;
        Ok(())
    }

    /// Makes a group.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn create_group(&self, name: &str) -> Result<()> {
        let created = self.iam().0.create_group().group_name(name).send().await;
        changed(created, administration::CREATE_GROUP, THERE)
    }

    /// Attaches a managed policy to a group.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn attach_to_group(&self, name: &str, policy_arn: &str) -> Result<()> {
        let attached =
            self.iam().0.attach_group_policy().group_name(name).policy_arn(policy_arn).send().await;
        done(attached, administration::ATTACH_GROUP_POLICY)?;
        Ok(())
    }

    /// Makes a user.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn create_user(&self, name: &str) -> Result<()> {
        let created = self.iam().0.create_user().user_name(name).send().await;
        changed(created, administration::CREATE_USER, THERE)
    }

    /// Puts the user of this name into the group of this name.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn join_group(&self, name: &str) -> Result<()> {
        let joined = self.iam().0.add_user_to_group().group_name(name).user_name(name).send().await;
        done(joined, administration::ADD_USER_TO_GROUP)?;
        Ok(())
    }

    /// Makes an access key; its secret is not to be had again.
    ///
    /// # Errors
    /// As IAM refuses it: a user has at most two.
    pub async fn create_access_key(&self, user: &str) -> Result<AccessKey> {
        let created = self.iam().0.create_access_key().user_name(user).send().await;
        let created = done(created, administration::CREATE_ACCESS_KEY)?;
        let key = created
            .access_key
            .ok_or_else(|| Error::new(Code::StoreHost, "CreateAccessKey answered without a key"))?;
        Ok(AccessKey { id: key.access_key_id, secret: key.secret_access_key, session_token: None })
    }

    /// Makes a role.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn create_role(&self, name: &str, trust: &str) -> Result<()> {
        let created =
            self.iam().0.create_role().role_name(name).assume_role_policy_document(trust).send().await;
        changed(created, administration::CREATE_ROLE, THERE)
    }

    /// Changes who may take a role on.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn change_trust(&self, name: &str, trust: &str) -> Result<()> {
        let changed =
            self.iam().0.update_assume_role_policy().role_name(name).policy_document(trust).send().await;
        done(changed, administration::UPDATE_ASSUME_ROLE_POLICY)?;
        Ok(())
    }

    /// Attaches a managed policy to a role.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn attach_to_role(&self, name: &str, policy_arn: &str) -> Result<()> {
        let attached = self.iam().0.attach_role_policy().role_name(name).policy_arn(policy_arn).send().await;
        done(attached, administration::ATTACH_ROLE_POLICY)?;
        Ok(())
    }

    /// Deletes the user of this name with its access keys.
    ///
    /// # Errors
    /// As IAM refuses it, such as for a user that has more than was made here.
    pub async fn delete_user(&self, name: &str) -> Result<()> {
        let iam = self.iam();
        let left = iam.0.remove_user_from_group().group_name(name).user_name(name).send().await;
        changed(left, administration::REMOVE_USER_FROM_GROUP, GONE)?;
        for key in iam.keys(name).await? {
            let deleted = iam.0.delete_access_key().user_name(name).access_key_id(key).send().await;
            changed(deleted, administration::DELETE_ACCESS_KEY, GONE)?;
        }
        let deleted = iam.0.delete_user().user_name(name).send().await;
        changed(deleted, administration::DELETE_USER, GONE)
    }

    /// Deletes the group of this name.
    ///
    /// # Errors
    /// As IAM refuses it, such as for a group that has other users.
    pub async fn delete_group(&self, name: &str, policy_arn: &str) -> Result<()> {
        let iam = self.iam();
        let detached = iam.0.detach_group_policy().group_name(name).policy_arn(policy_arn).send().await;
        changed(detached, administration::DETACH_GROUP_POLICY, GONE)?;
        let deleted = iam.0.delete_group().group_name(name).send().await;
        changed(deleted, administration::DELETE_GROUP, GONE)
    }

    /// Deletes the role of this name.
    ///
    /// # Errors
    /// As IAM refuses it, such as for a role that has more policies.
    pub async fn delete_role(&self, name: &str, policy_arn: &str) -> Result<()> {
        let iam = self.iam();
        let detached = iam.0.detach_role_policy().role_name(name).policy_arn(policy_arn).send().await;
        changed(detached, administration::DETACH_ROLE_POLICY, GONE)?;
        let deleted = iam.0.delete_role().role_name(name).send().await;
        changed(deleted, administration::DELETE_ROLE, GONE)
    }

    /// Deletes a managed policy with all its versions.
    ///
    /// # Errors
    /// As IAM refuses it, such as for one that others use.
    pub async fn delete_policy(&self, arn: &str) -> Result<()> {
        let iam = self.iam();
        let listed = iam.0.list_policy_versions().policy_arn(arn).send().await;
        let listed = found(listed, administration::LIST_POLICY_VERSIONS)?;
        let versions = listed.and_then(|listed| listed.versions).unwrap_or_default();
        for version in versions.iter().filter(|version| !version.is_default_version()) {
            let id = version.version_id().unwrap_or_default();
            let deleted = iam.0.delete_policy_version().policy_arn(arn).version_id(id).send().await;
            changed(deleted, administration::DELETE_POLICY_VERSION, GONE)?;
        }
        let deleted = iam.0.delete_policy().policy_arn(arn).send().await;
        changed(deleted, administration::DELETE_POLICY, GONE)
    }
}
