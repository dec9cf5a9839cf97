//! `strongroom login` and `strongroom logout`.

use std::io::{self, BufRead, IsTerminal, Read};

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_engine::{Code, Error};
use strongroom_service::control::ServiceCode;

use super::{stranger, table};
use crate::cli::service::{Login, Server};
use crate::failure::{Remote, RemoteCode, Result};
use crate::output::Output;
use crate::remote::paths::{self, Kind};
use crate::remote::{Address, Ask, Bearer, Client, Kept, Tokens};

/// Bytes of a password or a token.
const SECRET_MAX: u64 = 16 * 1024;

pub(super) async fn login(options: Login, output: &Output) -> Result<()> {
    let address = Address::parse(&options.url, options.trust.insecure_http)?;
    let path = Tokens::path()?;
    // A file that cannot be used is said before anything is asked for.
    let mut tokens = Tokens::read(&path)?;
    let client = stranger(address.clone(), &options.trust)?;
    let kept = if options.token { given(client).await? } else { made(client, &options, output).await? };
    let replaced = tokens.remove(&address.to_string());
    tokens.put(&address.to_string(), kept.clone());
    tokens.write(&path)?;
    if let Some(Kept { token, id: Some(id) }) = replaced.filter(|old| old.id != kept.id) {
        // The old one may have expired long ago.
        let client = stranger(address.clone(), &options.trust)?.with_token(token);
        let _ = client.ask(Ask::new(Method::DELETE, Kind::Token.one(&id))).await;
    }
    let answer =
        json!({ "server": address.to_string(), "token": kept.id, "file": path.display().to_string() });
    let line = format!("signed in to {address}; the token is kept in {}", path.display());
    table::done(&answer, &line, output)
}

/// A token that was made elsewhere. It must be good.
async fn given(client: Client) -> Result<Kept> {
    let token = Bearer::new(ask_secretly("Token: ")?);
    let who = client.with_token(token.clone()).ask(Ask::get(paths::SESSION)).await?.value;
    let id = who["token"].as_str().filter(|id| Kind::Token.is_id(id)).map(str::to_owned);
    Ok(Kept { token, id })
}

/// A token of this machine's own, made with a password that is not kept.
async fn made(client: Client, options: &Login, output: &Output) -> Result<Kept> {
    let login = match &options.login {
        Some(login) => login.clone(),
        None => std::env::var("USER").map_err(|_| {
            Error::new(Code::Usage, "nobody was named to sign in").help("Name the user with --login NAME.")
        })?,
    };
    if io::stdin().is_terminal() {
        output.remark(&format!("signing in to {} as {login}", client.address()));
    }
    let ask = if options.first_admin {
        let link = ask_secretly("Link that the service printed: ")?;
        // The service wants what stands behind the mark alone: a browser sends no more either.
        let link = link.rsplit_once('#').map_or(&*link, |(_, secret)| secret);
        let wanted = json!({"link": link, "login": login, "password": ask_secretly("New password: ")?});
        Ask::new(Method::POST, paths::SETUP).body(wanted)
    } else {
        let password = ask_secretly("Password: ")?;
        Ask::new(Method::POST, paths::SESSION).body(json!({"login": login, "password": password}))
    };
    let signed_in = client.ask(ask).await?;
    let client = client.with_session_of(&signed_in)?;
    let made = token(&client, options).await;
    // The session is not needed any more; it would end by itself.
    let _ = client.ask(Ask::new(Method::DELETE, paths::SESSION)).await;
    made
}

async fn token(client: &Client, options: &Login) -> Result<Kept> {
    let who = client.ask(Ask::get(paths::SESSION)).await?.value;
    let role = options.role.map_or(who["role"].clone(), |role| role.as_str().into());
    let wanted = json!({
        "name": format!("strongroom on {}", machine()),
        "role": role,
        "restorer": who["restorer"].as_bool().unwrap_or(false),
        "days": options.days,
    });
    let made = client.ask(Ask::new(Method::POST, Kind::Token.path()).body(wanted)).await?.value;
    let bearer = made["bearer"].as_str().filter(|bearer| !bearer.is_empty());
    let id = made.pointer("/token/id").and_then(Value::as_str).filter(|id| Kind::Token.is_id(id));
    match (bearer, id) {
        (Some(bearer), Some(id)) => Ok(Kept { token: Bearer::new(bearer.into()), id: Some(id.into()) }),
        _ => Err(Remote::new(RemoteCode::Answer, "the service made no token").into()),
    }
}

/// The name of this machine, as far as it is known.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(60).collect();
    if name.is_empty() { "a machine".into() } else { name }
}

/// One line that is typed and not seen; without a terminal the first line of stdin.
pub(super) fn ask_secretly(prompt: &str) -> Result<String> {
    let failed = |e: io::Error| Error::new(Code::Usage, format!("nothing could be read from stdin: {e}"));
    let line = if io::stdin().is_terminal() {
        let terminal = console::Term::stderr();
        terminal.write_str(prompt).and_then(|()| terminal.read_secure_line()).map_err(failed)?
    } else {
        let mut line = String::new();
        io::stdin().lock().take(SECRET_MAX).read_line(&mut line).map_err(failed)?;
        line
    };
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(Error::new(Code::Usage, "stdin is empty, where a secret was expected")
            .help("Type it, or pass it as one line of stdin.")
            .into());
    }
    Ok(line.to_owned())
}

pub(super) async fn logout(server: &Server, output: &Output) -> Result<()> {
    let path = Tokens::path()?;
    let mut tokens = Tokens::read(&path)?;
    let text =
        server.server.clone().or_else(|| tokens.only().map(str::to_owned)).ok_or_else(super::no_server)?;
    let address = Address::parse(&text, server.trust.insecure_http)?;
    let Some(kept) = tokens.remove(&address.to_string()) else {
        return table::done(
            &json!({ "revoked": false }),
            &format!("there is no token for {address}"),
            output,
        );
    };
    if let Some(id) = &kept.id {
        let client = stranger(address.clone(), &server.trust)?.with_token(kept.token);
        match client.ask(Ask::new(Method::DELETE, Kind::Token.one(id))).await {
            // It was revoked or had expired before.
            Err(failure) if !failure.is(ServiceCode::SignIn) && !failure.is(ServiceCode::Missing) => {
                return Err(failure);
            }
            _ => {}
        }
    }
    tokens.write(&path)?;
    let line = match kept.id {
        Some(_) => format!("signed out of {address}; the token is revoked"),
        None => format!("the token for {address} is forgotten here, and still valid"),
    };
    table::done(&json!({ "revoked": kept.id.is_some() }), &line, output)
}
