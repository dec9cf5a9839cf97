use serde_json::{Value, json};

use super::*;
use crate::model::{DeploymentId, LocationId};

const FILE: &str = r#"
deployments:
  - name: production
    uri: {env: PRODUCTION_URI}
    labels: {tier: gold}
locations:
  - name: main
    location: s3://backups/production
    region: eu-central-1
    expected_owner: "123456789012"
    bucket: {access: split, versioned: true, encryption: AES256, object_lock: "governance:30d"}
    credentials: {kind: key, id: AKIAWRITER, secret: {file: /run/secrets/writer}}
    restorer:
      kind: role
      arn: arn:aws:iam::123456789012:role/restorer
      external_id: "yes"
      key: {id: AKIABASE, secret: {env: BASE_SECRET}}
plans:
  - name: nightly
    deployment: production
    location: main
    schedule: {kind: cron, pattern: "30 1,13 * * *", zone: Europe/Berlin}
    backup: {encryption: AES256, exclude: [tmp.*]}
    retention: {last: 7, monthly: 12}
    running:
      quiet_hours: {from: "08:00", until: "18:00", zone: Europe/Berlin}
  - name: hourly
    deployment: production
    location: main
    schedule: {kind: every, hours: 1, anchor: 2026-01-01T00:00:00Z}
    paused: true
"#;

fn desired() -> Desired {
    read(FILE).unwrap()
}

fn told(have: &Desired, want: &Desired, choice: Choice) -> Vec<String> {
    steps(have, want, choice).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_written_is_read_as_the_same() {
    let text = write(&desired()).unwrap();
    assert_eq!(read(&text).unwrap(), desired(), "{text}");
    assert!(
        !text.contains("null") && !text.contains("attempts"),
        "what is as it would be anyway is left out: {text}"
    );
    let empty = write(&Desired::default()).unwrap();
    assert_eq!(read(&empty).unwrap(), Desired::default());
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let refused = |text: &str| read(text).unwrap_err();
    let unknown = refused("plans:\n  - name: nightly\n    retentoin: {last: 7}\n");
    assert!(unknown.contains("retentoin") && unknown.contains("line 3"), "{unknown}");
    let plain = refused("deployments:\n  - name: a\n    uri: mongodb://root:hunter2@host\n");
    assert!(!plain.contains("hunter2") && plain.contains("line 3"), "{plain}");
    for plain in ["hunter2", "12345678", "1.5"] {
        let written = refused(&FILE.replace("{file: /run/secrets/writer}", plain));
        assert!(!written.contains(plain) && written.contains("say where it is found"), "{written}");
    }
    let both = refused(&FILE.replace("{env: PRODUCTION_URI}", "{env: A, file: b}"));
    assert!(both.contains("found in one place"), "{both}");
    let twice = FILE.replace("name: hourly", "name: nightly");
    assert_eq!(refused(&twice), "the plan `nightly` is there twice; give each a name of its own");
    let zone = refused(&FILE.replace("Europe/Berlin", "Europe/Bern"));
    assert!(zone.contains("there is no time zone `Europe/Bern`"), "{zone}");
    let many = refused(&FILE.replace("last: 7", "last: 70000"));
    assert!(many.contains("70000 is not between 1 and 10000"), "{many}");
    assert!(refused("plans: [[[[").contains("line 1"));
    assert!(refused("a: &a [x,x,x]\nb: [*a,*a]\n").contains("unknown field"));
}

#[test]
fn the_difference_is_told_field_by_field() {
    let (have, mut want) = (desired(), desired());
    assert_eq!(told(&have, &want, Choice::default()), Vec::<String>::new());

    let mut plans = want.plans.as_slice().to_vec();
    plans[0].retention = serde_json::from_value(json!({"last": 30, "yearly": 2})).unwrap();
    plans.remove(1);
    want.plans = plans.try_into().unwrap();
    let changed = "plan `nightly` changes\n  retention.last: 7 becomes 30\n  retention.yearly: 2\n  \
                   retention.monthly: 12 is taken away";
    assert_eq!(
        told(&have, &want, Choice::default()),
        [changed, "plan `hourly` is not in the file, and stays as it is"]
    );
    let delete = Choice { delete: true, secrets: false };
    assert_eq!(told(&have, &want, delete), [changed, "plan `hourly` is deleted; its backups stay"]);
}

#[test]
fn what_is_referred_to_is_made_first_and_deleted_last() {
    let kinds = |have, want, choice| {
        let steps = steps(have, want, choice).unwrap();
        steps.into_iter().map(|step| (step.action, step.kind)).collect::<Vec<_>>()
    };
    let (all, none) = (desired(), Desired::default());
    let (plan, location, deployment) = (Kind::Plan, Kind::Location, Kind::Deployment);
    assert_eq!(
        kinds(&none, &all, Choice::default()),
        [deployment, location, plan, plan].map(|kind| (Action::Create, kind))
    );
    assert_eq!(
        kinds(&all, &none, Choice { delete: true, secrets: false }),
        [plan, plan, location, deployment].map(|kind| (Action::Delete, kind))
    );
}

#[test]
fn what_is_made_lists_what_is_said_of_it_and_no_secret() {
    let told = told(&Desired::default(), &desired(), Choice::default());
    assert_eq!(told[0], "deployment `production` is made\n  labels.tier: \"gold\"\n  its secrets are sent");
    assert!(
        told[1].contains("  credentials.kind: \"key\"\n  credentials.id: \"AKIAWRITER\"\n"),
        "{}",
        told[1]
    );
    assert!(!told.concat().contains("PRODUCTION_URI") && !told.concat().contains("/run/secrets"), "{told:?}");
}

#[test]
fn secrets_are_sent_again_where_that_is_chosen() {
    let again = Choice { delete: false, secrets: true };
    assert_eq!(
        told(&desired(), &desired(), again),
        [
            "deployment `production` changes\n  its secrets are sent",
            "location `main` changes\n  its secrets are sent"
        ]
    );
}

#[test]
fn a_plan_without_its_deployment_and_one_that_would_move_are_refused() {
    let mut want = desired();
    want.deployments = Few::default();
    let refused = |have: &Desired, want: &Desired, choice| steps(have, want, choice).unwrap_err();
    let lacks = "the plan `nightly` refers to the deployment `production`, which is not there";
    assert_eq!(refused(&Desired::default(), &want, Choice::default()), lacks);
    assert!(steps(&desired(), &want, Choice::default()).is_ok(), "the service has it");
    assert_eq!(refused(&desired(), &want, Choice { delete: true, secrets: false }), lacks);

    let mut moved = desired();
    let mut plans = moved.plans.as_slice().to_vec();
    plans[0].folder = Some("elsewhere".parse().unwrap());
    moved.plans = plans.try_into().unwrap();
    let found = refused(&desired(), &moved, Choice::default());
    assert!(found.starts_with("the folder of the plan `nightly` cannot change"), "{found}");
    assert!(steps(&moved, &desired(), Choice::default()).unwrap().is_empty(), "one that is not named stays");
}

struct Known;

impl Resolve for Known {
    fn secret(&mut self, from: &SecretFrom) -> Result<Option<String>, String> {
        match from {
            SecretFrom::Env(name) if name.as_str() == "BASE_SECRET" => Ok(None),
            SecretFrom::Env(name) => Ok(Some(format!("value of {name}"))),
            SecretFrom::File(path) => Err(format!("`{path}` is not there")),
        }
    }

    fn deployment(&mut self, _: &Name) -> Result<DeploymentId, String> {
        Ok("dep_01kb0s4r1q8f6v2m9c3t7x5zya".parse().unwrap())
    }

    fn location(&mut self, _: &Name) -> Result<LocationId, String> {
        Ok("loc_01kb0s4r1q8f6v2m9c3t7x5zya".parse().unwrap())
    }
}

#[test]
fn what_is_sent_is_what_the_api_takes() {
    let desired = desired();
    let body = desired.deployments.as_slice()[0].body(&mut Known).unwrap();
    assert_eq!(body["uri"], "value of PRODUCTION_URI");
    serde_json::from_value::<crate::model::NewDeployment>(body).unwrap();

    let body = desired.plans.as_slice()[0].body(&mut Known).unwrap();
    let plan: crate::model::NewPlan = serde_json::from_value(body).unwrap();
    assert_eq!(plan.schedule, desired.plans.as_slice()[0].schedule);

    let mut location = desired.locations.as_slice()[0].clone();
    assert_eq!(location.body(&mut Known).unwrap_err(), "`/run/secrets/writer` is not there");
    location.credentials = DesiredCredentials::default();
    let body = location.body(&mut Known).unwrap();
    assert_eq!(body["restorer"]["key"], json!({"id": "AKIABASE"}), "the secret that the service has stays");
    serde_json::from_value::<crate::model::NewLocation>(body).unwrap();
}

/// What the API would give for what the file says.
fn existing() -> Existing {
    let stamped = |mut value: Value, id: &str| {
        let common = json!({"id": id, "created_at": "2026-11-25T00:00:00Z", "updated_at": "2026-11-25T00:00:00Z", "version": 1});
        value.as_object_mut().unwrap().extend(common.as_object().unwrap().clone());
        value
    };
    let desired = desired();
    let mut deployment = serde_json::to_value(&desired.deployments.as_slice()[0]).unwrap();
    deployment["address"] = "mongodb://host".into();
    let location = serde_json::to_value(&desired.locations.as_slice()[0]).unwrap();
    let settings = desired.plans.as_slice()[0].body(&mut Known).unwrap();
    let status = serde_json::to_value(crate::model::PlanStatus::default()).unwrap();
    let plan = json!({"settings": settings, "folder": "nightly", "status": status});
    serde_json::from_value(json!({
        "deployments": [stamped(deployment, "dep_01kb0s4r1q8f6v2m9c3t7x5zya")],
        "locations": [stamped(location, "loc_01kb0s4r1q8f6v2m9c3t7x5zya")],
        "plans": [stamped(plan, "plan_01kb0s4r1q8f6v2m9c3t7x5zya")],
    }))
    .unwrap()
}

#[test]
fn what_is_exported_changes_nothing_when_it_is_applied() {
    let have = Desired::of(&existing()).unwrap();
    let text = write(&have).unwrap();
    assert!(text.contains("PRODUCTION_URI") && text.contains("MAIN_RESTORER_SECRET"), "{text}");
    assert!(steps(&have, &read(&text).unwrap(), Choice::default()).unwrap().is_empty());
    assert_eq!(told(&have, &desired(), Choice::default()).len(), 1, "only the second plan is new");

    let mut lost = existing();
    lost.locations.clear();
    assert_eq!(Desired::of(&lost).unwrap_err(), "the plan `nightly` refers to a location that is not there");
}
