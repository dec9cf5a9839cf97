//! What the service has, as a file would say it.

use serde::{Deserialize, Serialize};

use super::{
    Desired, DesiredCredentials, DesiredDeployment, DesiredKey, DesiredLocation, DesiredPlan, DesiredRole,
    SecretFrom,
};
use crate::model::{Credentials, Deployment, Few, Location, Name, Plan, ShownKey};

/// What the service has, as the API gives it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Existing {
    /// All deployments.
    pub deployments: Vec<Deployment>,
    /// All locations.
    pub locations: Vec<Location>,
    /// All plans.
    pub plans: Vec<Plan>,
}

impl Desired {
    /// What a file would say for all of this to be there. Secrets are named after what they are for, since nobody gets them
    /// back: `PRODUCTION_URI` of the environment for the deployment `production`.
    ///
    /// # Errors
    ///
    /// In words, if there is more than a file may say, or a plan without its deployment or location.
    pub fn of(existing: &Existing) -> Result<Self, String> {
        let plans = existing.plans.iter().map(|plan| plan_of(plan, existing));
        Ok(Self {
            deployments: few(existing.deployments.iter().map(deployment_of))?,
            locations: few(existing.locations.iter().map(location_of))?,
            plans: few(plans)?,
        })
    }
}

fn few<T, const MAX: usize>(items: impl Iterator<Item = Result<T, String>>) -> Result<Few<T, MAX>, String> {
    Few::try_from(items.collect::<Result<Vec<_>, _>>()?)
}

/// A variable of the environment, called after what needs it.
fn variable(name: &Name, purpose: &str) -> Result<SecretFrom, String> {
    let of = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.as_str().chars().map(of).collect();
    let name = name.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{name}_{purpose}").parse().map(SecretFrom::Env)
}

fn deployment_of(deployment: &Deployment) -> Result<DesiredDeployment, String> {
    Ok(DesiredDeployment {
        name: deployment.name.clone(),
        uri: variable(&deployment.name, "URI")?,
        labels: deployment.labels.clone(),
        runs_at_once: deployment.runs_at_once,
    })
}

fn location_of(location: &Location) -> Result<DesiredLocation, String> {
    let credentials = |shown: &Credentials, purpose| credentials_of(shown, &location.name, purpose);
    let restorer = location.restorer.as_ref().map(|shown| credentials(shown, "RESTORER_SECRET"));
    let pruner = location.pruner.as_ref().map(|shown| credentials(shown, "PRUNER_SECRET"));
    Ok(DesiredLocation {
        name: location.name.clone(),
        location: location.location.clone(),
        endpoint: location.endpoint.clone(),
        region: location.region.clone(),
        expected_owner: location.expected_owner.clone(),
        checksum: location.checksum,
        bucket: location.bucket.clone(),
        credentials: credentials(&location.credentials, "SECRET")?,
        restorer: restorer.transpose()?,
        pruner: pruner.transpose()?,
        labels: location.labels.clone(),
        runs_at_once: location.runs_at_once,
    })
}

fn credentials_of(shown: &Credentials, name: &Name, purpose: &str) -> Result<DesiredCredentials, String> {
    let key = |key: &ShownKey| -> Result<_, String> {
        Ok(DesiredKey { id: key.id.clone(), secret: Some(variable(name, purpose)?) })
    };
    Ok(match shown {
        Credentials::Ambient(nothing) => DesiredCredentials::Ambient(*nothing),
        Credentials::Key(shown) => DesiredCredentials::Key(key(shown)?),
        Credentials::Profile(profile) => DesiredCredentials::Profile(profile.clone()),
        Credentials::Role(role) => DesiredCredentials::Role(DesiredRole {
            arn: role.arn.clone(),
            external_id: role.external_id.clone(),
            key: role.key.as_ref().map(key).transpose()?,
        }),
    })
}

fn plan_of(plan: &Plan, existing: &Existing) -> Result<DesiredPlan, String> {
    let settings = plan.settings.clone();
    let deployment = existing.deployments.iter().find(|one| one.id == settings.deployment);
    let location = existing.locations.iter().find(|one| one.id == settings.location);
    let lacks = |what| format!("the plan `{}` refers to a {what} that is not there", settings.name);
    Ok(DesiredPlan {
        deployment: deployment.ok_or_else(|| lacks("deployment"))?.name.clone(),
        location: location.ok_or_else(|| lacks("location"))?.name.clone(),
        name: settings.name,
        folder: Some(plan.folder.clone()),
        schedule: settings.schedule,
        backup: settings.backup,
        retention: settings.retention,
        running: settings.running,
        labels: settings.labels,
        paused: settings.paused,
    })
}
