//! `strongroom user`, `strongroom token` and `strongroom audit`.

use reqwest::Method;
use serde_json::{Value, json};

use super::deployment::{something, update};
use super::fields::Fields;
use super::login::ask_secretly;
use super::table::{self, column, shown};
use super::{secret, which};
use crate::cli::service::{Audit, NewToken, NewUser, Role, Token, User, UserFields};
use crate::command::confirm;
use crate::failure::Result;
use crate::output::Output;
use crate::remote::paths::{self, Kind};
use crate::remote::{Ask, Client};

pub(super) async fn user(client: &Client, command: User, output: &Output) -> Result<()> {
    match command {
        User::List(listed) => {
            let listed = which::list(client, Ask::get(Kind::User.path()), listed.limit).await?;
            let columns = [
                column("LOGIN", "/login"),
                column("ROLE", "/role"),
                column("RESTORER", "/restorer"),
                shown("STATE", |item| if item["disabled"] == true { "disabled".into() } else { "ok".into() }),
                column("LAST SIGN-IN", "/last_sign_in_at"),
                column("ID", "/id"),
            ];
            table::list(&listed, "users", &columns, output)
        }
        User::Show(named) => table::show(&which::find(client, Kind::User, &named.name).await?.value, output),
        User::Create(new) => create(client, new, output).await,
        User::Update(changed) => {
            let fields = fields(changed.fields)?;
            something(&fields)?;
            let seen = which::find(client, Kind::User, &changed.which.name).await?;
            update(client, Kind::User, Method::PATCH, &seen, fields.alone(), output).await.map(drop)
        }
    }
}

async fn create(client: &Client, new: NewUser, output: &Output) -> Result<()> {
    let password = match (&new.password_file, new.no_password) {
        (_, true) => None,
        (Some(path), _) => Some(secret(path, "the password")?),
        (None, _) => Some(ask_secretly("Password of the new user: ")?),
    };
    let body = Fields::default()
        .set("login", Some(new.login))
        .set("password", password)
        .set("role", Some(new.role.as_str()))
        .set("restorer", Some(new.restorer));
    let made = client.ask(Ask::create(Kind::User.path(), body.alone())).await?.value;
    table::done(&made, &format!("made user {}", table::plain(&made["login"])), output)
}

fn fields(given: UserFields) -> Result<Fields> {
    let password = given.password_file.map(|path| secret(&path, "the password")).transpose()?;
    Ok(Fields::default()
        .set("role", given.role.map(Role::as_str))
        .set("restorer", given.restorer)
        .set("disabled", given.disabled)
        .set("password", password))
}

pub(super) async fn token(client: &Client, command: Token, output: &Output) -> Result<()> {
    match command {
        Token::List(listed) => {
            let listed = which::list(client, Ask::get(Kind::Token.path()), listed.limit).await?;
            let names = which::names(client, &[Kind::User]).await;
            let columns = [
                column("NAME", "/name"),
                shown("USER", move |item| {
                    let id = item["user"].as_str().unwrap_or_default();
                    names.get(id).map_or(id, String::as_str).to_owned()
                }),
                column("ROLE", "/role"),
                column("RESTORER", "/restorer"),
                column("EXPIRES", "/expires_at"),
                column("LAST USED", "/last_used_at"),
                column("ID", "/id"),
            ];
            table::list(&listed, "tokens", &columns, output)
        }
        Token::Create(new) => make_token(client, new, output).await,
        Token::Revoke(deleted) => {
            let id = which::id(client, Kind::Token, &deleted.name).await?;
            if !deleted.yes {
                confirm(&format!("Revoke token {}?", deleted.name), "nothing was revoked", output)?;
            }
            client.ask(Ask::new(Method::DELETE, Kind::Token.one(&id))).await?;
            table::done(&json!({ "revoked": id }), &format!("revoked token {}", deleted.name), output)
        }
    }
}

async fn make_token(client: &Client, new: NewToken, output: &Output) -> Result<()> {
    let (mut deployments, mut plans) = (Vec::new(), Vec::new());
    for name in &new.deployment {
        deployments.push(which::id(client, Kind::Deployment, name).await?);
    }
    for name in &new.plan {
        plans.push(which::id(client, Kind::Plan, name).await?);
    }
    let body = json!({
        "name": new.name, "role": new.role.as_str(), "restorer": new.restorer, "days": new.days,
        "deployments": deployments, "plans": plans,
    });
    // The answer holds what is shown once, so the service keeps no copy that a second try would get.
    let made = client.ask(Ask::new(Method::POST, Kind::Token.path()).body(body)).await?.value;
    output.remark("this is shown once; it goes into STRONGROOM_TOKEN, or as `Authorization: Bearer …`");
    table::done(&made, made["bearer"].as_str().unwrap_or_default(), output)
}

pub(super) async fn audit(client: &Client, Audit::List(listed): Audit, output: &Output) -> Result<()> {
    let listed = which::list(client, Ask::get(paths::AUDIT), listed.limit).await?;
    let names = which::names(client, &[Kind::User]).await;
    let columns = [
        column("AT", "/at"),
        shown("WHO", move |item| match &item["user"] {
            Value::String(id) => names.get(id).unwrap_or(id).clone(),
            _ => "the service".into(),
        }),
        column("ADDRESS", "/address"),
        column("ACTION", "/action"),
        column("SUBJECT", "/subject"),
    ];
    table::list(&listed, "entries", &columns, output)
}
