//! A request of a visitor, and what all pages have in common.

use serde_json::{Value, json};

use crate::serve::answer::Answer;
use crate::serve::approval;
use crate::serve::identity::Visitor;
use crate::serve::problem::Problem;
use crate::serve::request::Request;
use crate::serve::sql;
use crate::tables;

const RIGHTS: &str = include_str!("../../../sql/queries/console_rights.sql");

/// What can be said above a page about what was just done.
const NOTICES: &[&str] = &[
    "created",
    "updated",
    "paused",
    "resumed",
    "deleted",
    "retried",
    "cancelled",
    "replayed",
    "overlap-ended",
    "registered",
    "revoked",
    "adapter-updated",
    "adapter-paused",
    "adapter-resumed",
    "adapter-deleted",
    "events-again",
    "event-again",
    "secret-replaced",
    "deployed",
    "in-testing",
    "flow-paused",
    "flow-deleted",
    "approved",
    "refused",
];

pub struct Visit<'a> {
    pub request: &'a Request,
    pub visitor: &'a Visitor,
    pub may_manage: bool,
    pub may_see_failures: bool,
    may_see_keys: bool,
    pub may_see_adapters: bool,
    pub may_see_events: bool,
    pub may_see_refusals: bool,
    pub may_see_flows: bool,
    pub may_see_approvals: bool,
    now: Value,
}

impl<'a> Visit<'a> {
    /// To be called as the role of the visitor.
    pub fn new(request: &'a Request, visitor: &'a Visitor) -> Result<Self, Problem> {
        let rights = sql::json(RIGHTS, &[]);
        let has = |right: &str| rights[right] == true;
        if !has("may_visit") {
            return Err(Problem::forbidden().with_detail(format!("Role {} has no settings pages.", visitor.role_name)));
        }
        Ok(Self {
            request,
            visitor,
            may_manage: has("may_manage"),
            may_see_failures: has("may_see_failures"),
            may_see_keys: has("may_see_keys"),
            may_see_adapters: has("may_see_adapters"),
            may_see_events: has("may_see_events"),
            may_see_refusals: has("may_see_refusals"),
            may_see_flows: has("may_see_flows"),
            may_see_approvals: has("may_see_approvals"),
            now: rights["now"].clone(),
        })
    }

    pub fn require_manager(&self) -> Result<(), Problem> {
        if self.may_manage {
            return Ok(());
        }
        Err(Problem::forbidden().with_detail("Only an admin may change settings.").with_hint("Ask an admin to do it."))
    }

    pub fn tenant(&self) -> Option<&str> {
        self.visitor.tenant.as_deref()
    }

    /// Fails unless the webhook is one of the visitor's.
    pub fn require_own_webhook(&self, id: i64) -> Result<(), Problem> {
        self.require_own("hydra.subscription", id, "")
    }

    /// The same, and locks the webhook, so that it stays the visitor's until the request has ended.
    pub fn lock_own_webhook(&self, id: i64) -> Result<(), Problem> {
        self.require_own("hydra.subscription", id, "FOR NO KEY UPDATE")
    }

    pub fn require_own_key(&self, id: i64) -> Result<(), Problem> {
        self.require_own("hydra.api_key", id, "")
    }

    pub fn require_own_adapter(&self, id: i64) -> Result<(), Problem> {
        self.require_own("hydra.inbound_adapter", id, "")
    }

    pub fn lock_own_adapter(&self, id: i64) -> Result<(), Problem> {
        self.require_own("hydra.inbound_adapter", id, "FOR NO KEY UPDATE")
    }

    pub fn lock_own_flow(&self, id: i64) -> Result<(), Problem> {
        self.require_own("hydra.flow", id, "FOR NO KEY UPDATE")
    }

    fn require_own(&self, table: &str, id: i64, lock: &str) -> Result<(), Problem> {
        let find = format!("SELECT t.id FROM {table} AS t WHERE t.id = $1 AND ($2 IS NULL OR t.tenant_id = $2) {lock}");
        let found: Option<i64> = tables::as_owner(|| sql::one(&find, &[id.into(), self.tenant().into()]));
        found.map(drop).ok_or_else(Problem::not_found)
    }

    /// Makes the JSON of a page.
    pub fn page(&self, status: i32, name: &str, data: Value) -> Answer {
        let done = self.request.query().ok();
        let notice = done.as_ref().and_then(|query| query.get("done")).filter(|done| NOTICES.contains(done));
        let sections = [
            ("webhooks", true),
            // On a narrow screen, those further on are not seen at once, and this one has a number.
            ("approvals", self.may_see_approvals),
            ("inbound-adapters", self.may_see_adapters),
            ("flows", self.may_see_flows),
            ("event-types", true),
            ("api-keys", self.may_see_keys),
            ("status", self.tenant().is_none()),
        ];
        let sections: Vec<_> = sections.iter().filter(|(_, has)| *has).map(|(section, _)| section).collect();
        let waiting = if self.may_see_approvals { approval::waiting(self.tenant()) } else { 0 };
        Answer::json(
            status,
            &json!({
                "page": name,
                "visitor": {
                    "role": self.visitor.role_name,
                    "may_manage": self.may_manage,
                    "may_see_failures": self.may_see_failures,
                    "tenant_id": self.tenant(),
                    "expires_at": self.visitor.expires_at,
                },
                "sections": sections,
                "waiting": waiting,
                "notice": notice,
                "now": self.now,
                "data": data,
            }),
        )
    }
}
