//! `strongroom bucket explain`.

use std::fmt;

use iam_policy::{Principal, Request};
use serde::Serialize;
use serde_json::{Value, json};
use strongroom_engine::Help;
use strongroom_engine::bucket::identity;
use strongroom_engine::error::{Code, Error, Result};
use strongroom_engine::guard::{self, Ability, Checked, Explained, Settings, Sources};

use super::read;
use crate::cli::bucket::Explain;
use crate::help;
use crate::output::Output;

pub(crate) async fn run(options: &Explain, output: &Output) -> Result<()> {
    let settings = options.wanted.settings()?;
    let (sources, principal) = sources(options, &settings).await?;
    if options.thief {
        let answer = Thief { thief: guard::thief(&settings, &sources, &principal) };
        return output.answer(&answer, &answer);
    }
    if let Some(action) = &options.action {
        let request = request(options, &settings, action, principal)?;
        let answer = One(guard::explain(&sources, &request));
        return output.answer(&in_words(&answer.0, &answer.0.advice), &answer);
    }
    let requests = guard::plan_check(&settings, &sources, &principal);
    let works = requests.iter().all(|checked| checked.explained.allowed);
    let answer = All { works, requests };
    let requests: Vec<Value> =
        answer.requests.iter().map(|checked| in_words(checked, &checked.explained.advice)).collect();
    output.answer(&json!({"works": works, "requests": requests}), &answer)?;
    match works {
        true => Ok(()),
        false => Err(Error::new(Code::NotProved, "not every request of these settings would be allowed")
            .help("The list above says which, and the statements that would allow them.")),
    }
}

/// From files, or else from the account as far as it may be read.
async fn sources(options: &Explain, settings: &Settings) -> Result<(Sources, Principal)> {
    const SOMEBODY: &str = "arn:aws:iam::111122223333:user/strongroom";
    let offline = !options.identity_policies.is_empty() || options.bucket_policy.is_some();
    let arn = match (&options.principal, offline) {
        (Some(arn), _) => arn.clone(),
        (None, true) => SOMEBODY.into(),
        (None, false) => identity::caller(&options.aws.options()).await?.arn,
    };
    let Some(principal) = guard::principal(&arn) else {
        return Err(Error::new(
            Code::Usage,
            format!("`{arn}` is not the ARN of a user, a role's session or an account's root"),
        ));
    };
    if !offline {
        let found = guard::gather(&options.aws.options(), &arn, &settings.bucket).await?;
        if !found.identity_known && found.bucket.is_none() {
            return Err(Error::new(
                Code::Denied,
                format!("neither the policies of `{arn}` nor the bucket's may be read"),
            )
            .help("Give them as files: --identity-policy FILE --bucket-policy FILE."));
        }
        return Ok((found, principal));
    }
    let account =
        settings.account.clone().or_else(|| principal.account().map(str::to_owned)).unwrap_or_default();
    let mut found = Sources { account, ..Sources::default() };
    for path in &options.identity_policies {
        found.add_identity(&path.display().to_string(), &read(path)?)?;
    }
    if let Some(path) = &options.bucket_policy {
        found.set_bucket(&path.display().to_string(), &read(path)?)?;
    }
    Ok((found, principal))
}

fn request(options: &Explain, settings: &Settings, action: &str, principal: Principal) -> Result<Request> {
    let bucket = settings.bucket_arn();
    let resource = options.key.as_ref().map_or(bucket.clone(), |key| format!("{bucket}/{key}"));
    let mut request = Request::new(principal, action, &resource);
    for header in &options.headers {
        let (name, value) = header.split_once(['=', ':']).ok_or_else(|| {
            Error::new(Code::Usage, format!("`{header}` is not NAME=VALUE"))
                .help("Such as x-amz-server-side-encryption=AES256.")
        })?;
        // Headers are condition keys of S3; others are written with their service before them.
        let name = if name.contains(':') { name.to_owned() } else { format!("s3:{name}") };
        request.context.set(&name, value.trim());
    }
    Ok(request)
}

/// As JSON, with the advice as a sentence.
fn in_words(explained: &impl Serialize, advice: &Help) -> Value {
    let mut value = serde_json::to_value(explained).unwrap_or_default();
    value["advice"] = help::in_words(advice).into();
    value
}

struct One(Explained);

impl fmt::Display for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_one(f, &self.0)
    }
}

fn write_one(f: &mut fmt::Formatter<'_>, told: &Explained) -> fmt::Result {
    writeln!(f, "{} on {}: {}", told.action, told.resource, told.decision)?;
    for reason in &told.because {
        writeln!(f, "  {reason}")?;
    }
    writeln!(f, "  {}", help::in_words(&told.advice))?;
    told.statement.as_ref().map_or(Ok(()), |statement| writeln!(f, "  {statement}"))
}

struct All {
    works: bool,
    requests: Vec<Checked>,
}

impl fmt::Display for All {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for checked in &self.requests {
            let told = &checked.explained;
            let sign = if told.allowed { "works" } else { "FAILS" };
            writeln!(f, "{sign}  {} ({}): {}", checked.commands, checked.role, checked.why)?;
            if !told.allowed {
                write_one(f, told)?;
            }
        }
        writeln!(f, "{}", if self.works { "everything would work" } else { "not everything would work" })
    }
}

#[derive(Serialize)]
struct Thief {
    thief: Vec<Ability>,
}

impl fmt::Display for Thief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Somebody who holds this key")?;
        for ability in &self.thief {
            let can = match ability.can {
                Some(true) => "CAN",
                Some(false) => "cannot",
                None => "may be able to",
            };
            writeln!(f, "  {can:>14} {} ({})", ability.what, ability.action)?;
        }
        Ok(())
    }
}
