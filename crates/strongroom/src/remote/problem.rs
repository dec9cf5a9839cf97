//! What an answer says that is no success.

use reqwest::StatusCode;
use strongroom_service::api::ApiProblem;
use strongroom_service::control::ServiceCode;

use crate::failure::{Remote, RemoteCode};

/// Characters of one text of a problem, fields of one problem: a service of ours stays below.
const TEXT_MAX: usize = 4000;
const FIELDS_MAX: usize = 100;

/// The error that an answer stands for.
pub(super) fn failure(status: StatusCode, retry_after: Option<u64>, body: &[u8]) -> Remote {
    if status.is_redirection() {
        return Remote::new(
            RemoteCode::Answer,
            format!(
                "the server answers {}, which leads elsewhere, and the token goes nowhere else",
                status.as_u16()
            ),
        )
        .help("Give the address of the service itself.");
    }
    let Ok(problem) = serde_json::from_slice::<ApiProblem>(body) else {
        let passing = status.is_server_error();
        let code = if passing { RemoteCode::Unreachable } else { RemoteCode::Answer };
        let message =
            format!("the server answers {}, and not as a service of Strongroom does", status.as_u16());
        return Remote::new(code, message).help("Check the address, and what stands before the service.");
    };
    let code = RemoteCode::named(&problem.code, status.is_server_error());
    let mut remote = Remote::new(code, cut(problem.detail));
    remote.fields = problem.errors.into_iter().take(FIELDS_MAX).collect();
    for field in &mut remote.fields {
        field.field = cut(std::mem::take(&mut field.field));
        field.message = cut(std::mem::take(&mut field.message));
    }
    remote.help = problem.help.map(cut).or_else(|| advice(&remote.code, retry_after));
    remote
}

/// What to do at the command line, where the service says nothing.
fn advice(code: &RemoteCode, retry_after: Option<u64>) -> Option<String> {
    Some(match code {
        RemoteCode::Service(ServiceCode::SignIn) => {
            "Sign in with `strongroom login URL`, or put a token into STRONGROOM_TOKEN.".into()
        }
        RemoteCode::Service(ServiceCode::Changed) => {
            "Somebody changed it meanwhile. Look at it with `show`, and run this command again to change what it is now."
                .into()
        }
        RemoteCode::Service(ServiceCode::TooMany) => match retry_after {
            Some(seconds) => format!("Try again in {seconds} seconds."),
            None => "Try again later.".into(),
        },
        _ => return None,
    })
}

fn cut(text: String) -> String {
    if text.chars().nth(TEXT_MAX).is_none() { text } else { text.chars().take(TEXT_MAX).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Remote {
        failure(StatusCode::from_u16(status).unwrap(), None, body.as_bytes())
    }

    #[test]
    fn a_problem_keeps_its_code_words_and_fields() {
        let remote = of(
            422,
            r#"{"type":"about:blank","title":"x","status":422,"detail":"`name`: too long","code":"SR-REQUEST",
            "help":"Shorten it.","errors":[{"field":"name","message":"too long"}],"request_id":"0"}"#,
        );
        assert_eq!(remote.code, RemoteCode::Service(ServiceCode::Request));
        assert_eq!(
            (remote.message.as_str(), remote.help.as_deref()),
            ("`name`: too long", Some("Shorten it."))
        );
        assert_eq!(remote.fields[0].field, "name");
    }

    #[test]
    fn a_stale_change_says_what_to_do() {
        let body = r#"{"type":"about:blank","title":"","status":412,"detail":"it was changed","code":"SR-CHANGED","request_id":""}"#;
        assert!(of(412, body).help.unwrap().contains("run this command again"));
    }

    #[test]
    fn what_is_no_problem_of_ours_is_told_by_its_status() {
        assert_eq!(of(502, "<html>bad gateway").code, RemoteCode::Unreachable);
        assert_eq!(of(404, "nothing").code, RemoteCode::Answer);
        assert_eq!(of(302, "").code, RemoteCode::Answer);
    }
}
