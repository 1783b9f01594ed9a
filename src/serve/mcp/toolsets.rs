//! Which toolsets a client wants. A model reads the description of every tool with each conversation, and is better with few.
//!
//! They are part of the URL, `/mcp?toolsets=support,crm`, because a client knows one URL and nothing else of this server. A tool of
//! another toolset does not exist for this client.

use wire::form;

use crate::serve::identity::as_owner;
use crate::serve::problem::Problem;
use crate::serve::rest::Call;
use crate::serve::sql;

const PARAMETER: &str = "toolsets";

/// The toolsets that were asked for; `None`: all.
pub struct Toolsets(Option<Vec<String>>);

impl Toolsets {
    pub fn of(call: &Call<'_>) -> Self {
        let parameters = form::pairs(call.request.query.as_bytes()).unwrap_or_default();
        let given = parameters.iter().filter(|(name, _)| name == PARAMETER).flat_map(|(_, value)| value.split(','));
        let names: Vec<String> = given.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Self((!names.is_empty()).then_some(names))
    }

    pub fn have(&self, toolset: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.iter().any(|name| name == toolset))
    }

    /// Fails if the key has no tool in one of them.
    pub fn check(call: &Call<'_>) -> Result<(), Problem> {
        const KNOWN: &str = include_str!("../../../sql/queries/known_toolsets.sql");
        let Self(Some(names)) = Self::of(call) else { return Ok(()) };
        let arguments = [call.key.scopes.clone().into(), call.key.tenant.as_deref().into()];
        let known: Vec<String> =
            as_owner(|| sql::rows(KNOWN, &arguments, |row| row.first())).into_iter().flatten().collect();
        match names.iter().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) => {
                let detail = format!("There is no toolset {name:?} for this key. There are: {}.", known.join(", "));
                Err(Problem::bad_request().with_error(PARAMETER, "unknown", &detail).with_detail(detail))
            }
        }
    }
}
