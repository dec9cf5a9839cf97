//! Every list and the summary, asked for by fifty at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::figure::{Bound, figure};
use super::process::{AT_ONCE, Process};
use super::seed::Seeded;
use crate::Outcome;

/// Requests of one kind: the slowest hundredth of them is twenty.
const REQUESTS: usize = 2_000;

/// Paths of all lists, and of those with filters that a state of years could make slow.
fn paths(seeded: &Seeded) -> Vec<(&'static str, String)> {
    let (plan, deployment, backup) = (&seeded.plan, &seeded.deployment, &seeded.backup);
    vec![
        ("summary", "summary".into()),
        ("plans", "plans".into()),
        ("plans that fail", "plans?failing=true".into()),
        ("plans of a deployment", format!("plans?deployment={deployment}")),
        ("one plan", format!("plans/{plan}")),
        ("runs", "runs".into()),
        ("runs, a page in the middle", format!("runs?after={}", seeded.middle)),
        ("runs of a plan", format!("runs?plan={plan}")),
        ("runs of a deployment", format!("runs?deployment={deployment}")),
        ("runs that failed", "runs?state=failed".into()),
        ("runs of a plan that failed", format!("runs?plan={plan}&state=failed")),
        ("runs that are at work", "runs?state=running".into()),
        ("runs that verify", "runs?kind=verify".into()),
        ("backups", "backups".into()),
        ("backups of a plan", format!("backups?plan={plan}")),
        ("one backup", format!("backups/{backup}")),
        ("backups that expired", "backups?state=expired".into()),
        ("deployments", "deployments".into()),
        ("locations", "locations".into()),
        ("changes", "changes".into()),
        ("users", "users".into()),
        ("tokens", "tokens".into()),
        ("audit log", "audit".into()),
        ("settings", "settings".into()),
    ]
}

pub(super) async fn measure(process: &Process, seeded: &Seeded) -> Outcome {
    println!();
    for (name, path) in paths(seeded) {
        let (cpu, begun) = (process.cpu()?, Instant::now());
        let mut times = ask(process, &seeded.token, &path).await?;
        let (cpu, wall) = (process.cpu()? - cpu, begun.elapsed().as_secs_f64());
        times.sort();
        let at = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1e3;
        let (median, per_second) = (at(0.5), times.len() as f64 / wall);
        let each = cpu / times.len() as f64 * 1e3;
        let what = format!("{name} (median {median:.0} ms, {per_second:.0}/s, CPU {each:.2} ms)");
        figure(&what, at(0.99), "ms", Bound::Below(50.0));
    }
    println!("(times of the slowest hundredth; who asks shares the cores with the service)\n");
    Ok(())
}

/// How long each request took.
async fn ask(process: &Process, token: &str, path: &str) -> Outcome<Vec<Duration>> {
    let url = format!("{}/api/v1/{path}", process.url);
    let asked = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (url, asked, http, token) = (url.clone(), asked.clone(), process.http.clone(), token.to_owned());
        tasks.spawn(async move {
            let mut times = Vec::new();
            while asked.fetch_add(1, Ordering::Relaxed) < REQUESTS {
                let begun = Instant::now();
                let answer = http.get(&url).bearer_auth(&token).send().await?.error_for_status()?;
                answer.bytes().await?;
                times.push(begun.elapsed());
            }
            Ok::<_, reqwest::Error>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        times.extend(ended??);
    }
    Ok(times)
}
