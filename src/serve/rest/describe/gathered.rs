//! Finds out what the key can do, and with what.

use openapi::own::Comments;
use openapi::{Api, EventType};

use super::super::Call;
use super::super::resource::{self, Column, Resource};
use super::super::schema;
use crate::api::gateway_status::public_url;
use crate::serve::identity::as_owner;
use crate::serve::sql;
use crate::store::columns;

columns!(CommentColumns { view, column_name, comment });
columns!(EventColumns { name, description, resource });

const COMMENTS: &str = include_str!("../../../../sql/queries/api_comments.sql");
const EVENTS: &str = include_str!("../../../../sql/queries/api_events.sql");

pub fn api(call: &Call<'_>) -> Api {
    let key = call.key;
    // As for requests: to a key with a tenant, a resource without a tenant column does not exist.
    let mut resources = resource::all();
    resources.retain(|resource| key.tenant.is_none() || resource.tenant_column.is_some());
    let may_read = |name: &str| key.scopes.iter().any(|scope| *scope == format!("{name}:read"));
    let event_types = as_owner(events).into_iter().map(|mut event| {
        let shown = |name: &String| may_read(name) && resources.iter().any(|resource| resource.name == *name);
        event.resource = event.resource.filter(shown);
        event
    });
    Api {
        title: format!(
            "API of {}",
            sql::one::<String>("SELECT pg_catalog.current_database()::text", &[]).unwrap_or_default()
        ),
        public_url: public_url().unwrap_or_default(),
        scopes: key.scopes.clone(),
        has_tenant: key.tenant.is_some(),
        event_types: event_types.collect(),
        resources: resources.iter().map(|resource| described(resource, key.tenant.is_some())).collect(),
        comments: as_owner(comments),
    }
}

fn comments() -> Comments {
    let views: Vec<String> =
        openapi::own::ALL.iter().flat_map(|own| own.views).map(|view| (*view).to_owned()).collect();
    sql::all(COMMENTS, &[views.into()], |rows| {
        let columns = CommentColumns::of(&rows);
        rows.map(|row| ((row.value(columns.view), row.value(columns.column_name)), row.value(columns.comment)))
            .collect()
    })
}

fn events() -> Vec<EventType> {
    sql::all(EVENTS, &[], |rows| {
        let columns = EventColumns::of(&rows);
        rows.map(|row| EventType {
            name: row.value(columns.name),
            description: row.maybe(columns.description),
            resource: row.maybe(columns.resource),
        })
        .collect()
    })
}

fn described(resource: &Resource, has_tenant: bool) -> openapi::Resource {
    let column = |column: &Column| openapi::Column {
        name: column.name.clone(),
        of: schema::of_column(column),
        nullable: !column.not_null,
        has_default: column.has_default,
        comment: column.comment.clone(),
        choices: column.choices.clone(),
    };
    let named = |names: &[String]| names.iter().filter_map(|name| resource.column(name)).map(column).collect();
    // A key with a tenant does not choose the tenant of a row.
    let is_tenant = |column: &Column| resource.tenant_column.as_ref().is_some_and(|tenant| tenant.name == column.name);
    let written = |names: &[String]| {
        let columns = names.iter().filter_map(|name| resource.column(name));
        columns.filter(|column| !(column.is_generated || has_tenant && is_tenant(column))).map(column).collect()
    };
    openapi::Resource {
        name: resource.name.clone(),
        description: resource.description.clone(),
        id: column(&resource.id_column),
        columns: resource.readable.iter().map(column).collect(),
        creatable: written(&resource.creatable),
        updatable: written(&resource.updatable),
        filterable: named(&resource.filterable),
        sortable: resource.sortable.clone(),
        deletable: resource.deletable,
    }
}
