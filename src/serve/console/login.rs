//! Begins and ends the session of a visitor. GET shows a page with a button and changes nothing, because programs that
//! preview links open them. POST uses the link up.

use serde_json::json;
use wire::token::{Kind, Token, stored};

use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::request::Request;
use crate::serve::sql;
use crate::tables;

const SHOW: &str = include_str!("../../../sql/queries/show_console_link.sql");
const BEGIN: &str = include_str!("../../../sql/queries/begin_console_session.sql");
const END: &str = "DELETE FROM hydra.console_session AS s WHERE s.hash = $1";

pub fn answer(request: &Request) -> Result<Answer, Problem> {
    let hash = request.credential.ok_or_else(Problem::unauthenticated)?.to_vec();
    match request.method.as_str() {
        "GET" | "HEAD" => {
            let link = tables::as_owner(|| sql::json(SHOW, &[hash.into()]));
            if link.is_null() {
                return Err(Problem::unauthenticated());
            }
            Ok(Answer::json(200, &json!({"page": "login", "visitor": null, "data": link})))
        }
        "POST" => begin(hash),
        _ => Err(Problem::method_not_allowed("GET, POST")),
    }
}

fn begin(link: Vec<u8>) -> Result<Answer, Problem> {
    let session = Token::random(Kind::Session, &mut rand::rng());
    let hash = stored(&session.credential()).to_vec();
    let expires_at: Option<String> = tables::as_owner(|| sql::one(BEGIN, &[link.into(), hash.into()]));
    let expires_at = expires_at.ok_or_else(Problem::unauthenticated)?;
    Ok(Answer::see_other("/settings/webhooks")
        .with_header("hydra-session", session.expose())
        .with_header("hydra-session-expires", expires_at))
}

/// Ends the session, if there is one.
pub fn end(request: &Request) -> Result<Answer, Problem> {
    if request.method != "POST" {
        return Err(Problem::method_not_allowed("POST"));
    }
    if let Some(hash) = request.credential {
        tables::as_owner(|| sql::run(END, &[hash.to_vec().into()]));
    }
    Ok(Answer::see_other("/settings").with_header("hydra-end-session", "1"))
}
