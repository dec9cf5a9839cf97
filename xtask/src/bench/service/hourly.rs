//! How many backups of small databases one worker makes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::{Mongod, dataset};

use super::figure::{Bound, figure};
use super::place::Place;
use super::process::Process;
use super::seed::Seeded;
use crate::Outcome;

/// Plans that are all due at once.
const PLANS: usize = 100;
const SMALL_BYTES: u64 = 1_000_000;
const AT_ONCE: u64 = 4;
const LONGEST: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(500);

pub(super) async fn measure(process: &Process, seeded: &Seeded, place: &Place) -> Outcome {
    let server = Mongod::replica_set().await?;
    dataset::generate(&server.client().await?, SMALL_BYTES).await?;
    let api = Api { process, token: &seeded.token };
    let deployment = json!({ "name": "small", "uri": server.uri(), "runs_at_once": AT_ONCE });
    let deployment = api.make("deployments", deployment).await?;
    let to = format!("file://{}", place.backups().join("small").display());
    let location = json!({ "name": "folder", "location": to, "runs_at_once": AT_ONCE });
    let location = api.make("locations", location).await?;
    let (cpu, begun) = (process.cpu()?, Instant::now());
    for number in 0..PLANS {
        let plan = json!({
            "name": format!("small {number}"), "deployment": deployment, "location": location,
            "schedule": { "kind": "once" },
        });
        api.make("plans", plan).await?;
    }
    let mut done = 0;
    while done < PLANS && begun.elapsed() < LONGEST {
        tokio::time::sleep(LOOK).await;
        done = api.succeeded(&location).await?;
    }
    let (wall, cpu) = (begun.elapsed().as_secs_f64(), process.cpu()? - cpu);
    let hourly = done as f64 / wall * 3600.0;
    let what = format!("backups of small databases in an hour ({done} in {wall:.0} s)");
    figure(&what, hourly, "", Bound::AtLeast(500.0));
    if let Some(some) = (done > 0).then_some(done as f64) {
        println!("(extrapolated; one worker, {AT_ONCE} at once, {:.0} ms of CPU each)", cpu / some * 1e3);
    }
    println!("{:<62} {:>9.2} MB", "memory after these backups (resident)", process.resident_megabytes()?);
    Ok(())
}

/// The service, as a client with a token meets it.
struct Api<'a> {
    process: &'a Process,
    token: &'a str,
}

impl Api<'_> {
    /// Makes something, and gives its id.
    async fn make(&self, what: &str, body: Value) -> Outcome<String> {
        let url = format!("{}/api/v1/{what}", self.process.url);
        let answer = self.process.http.post(url).bearer_auth(self.token).json(&body).send().await?;
        let (status, made) = (answer.status(), answer.json::<Value>().await?);
        match made["id"].as_str() {
            Some(id) if status.is_success() => Ok(id.to_owned()),
            _ => Err(format!("{what}: {status}: {made}").into()),
        }
    }

    async fn succeeded(&self, location: &str) -> Outcome<usize> {
        let path = format!("runs?location={location}&kind=backup&state=succeeded&limit=200");
        let url = format!("{}/api/v1/{path}", self.process.url);
        let answer = self.process.http.get(url).bearer_auth(self.token).send().await?.error_for_status()?;
        Ok(answer.json::<Value>().await?["items"].as_array().map_or(0, Vec::len))
    }
}
