//! Providers by name, and what has to be done at each of them.

use maud::{Markup, html};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Provider {
    pub name: String,
}

struct Known {
    provider: &'static str,
    name: &'static str,
    steps: &'static str,
}

const fn known(provider: &'static str, name: &'static str, steps: &'static str) -> Known {
    Known { provider, name, steps }
}

const KNOWN: &[Known] = &[
    known(
        "none",
        "Any system",
        "Let it POST JSON to the URL. Nothing is signed: who has the URL can send events, so keep it private.",
    ),
    known(
        "github",
        "GitHub",
        "Settings, Webhooks, Add webhook: enter the URL, the content type application/json, and the same secret as here.",
    ),
    known(
        "stripe",
        "Stripe",
        "Developers, Webhooks, Add endpoint: enter the URL. Stripe then shows the signing secret, whsec_…",
    ),
    known(
        "shopify",
        "Shopify",
        "Create the webhook with this URL in JSON. The secret is the client secret of the app, or is shown below the webhooks of the shop.",
    ),
    known(
        "slack",
        "Slack",
        "Event Subscriptions: enter the URL as Request URL. The secret is the Signing Secret under Basic Information.",
    ),
    known(
        "twilio",
        "Twilio",
        "Enter the URL for messages or calls, with HTTP POST. The secret is the Auth Token of the account.",
    ),
    known(
        "sendgrid",
        "SendGrid",
        "Mail Settings, Event Webhook: enter the URL and enable the signed webhook. The secret is the verification key shown there.",
    ),
    known(
        "postmark",
        "Postmark",
        "Webhooks of the server: enter the URL. Postmark does not sign: keep the URL private.",
    ),
    known("mailgun", "Mailgun", "Sending, Webhooks: enter the URL. The secret is the HTTP webhook signing key."),
    known("linear", "Linear", "Settings, API, New webhook: enter the URL. Linear shows the signing secret."),
    known(
        "zendesk",
        "Zendesk",
        "Admin Center, Webhooks: enter the URL as endpoint. The secret is shown by Reveal secret.",
    ),
    known(
        "intercom",
        "Intercom",
        "Developer Hub, Webhooks: enter the URL. The secret is the client secret of the app.",
    ),
    known(
        "paddle",
        "Paddle",
        "Developer tools, Notifications: enter the URL. The secret is that of the destination, pdl_ntfset_…",
    ),
    known(
        "square",
        "Square",
        "Developer Console, Webhooks: enter the URL exactly as it is. The secret is the signature key of the subscription.",
    ),
    known("standard", "Standard Webhooks", "Enter the URL at the sender, and its secret, whsec_…, here."),
    known("svix", "Svix", "Enter the URL as endpoint. The secret, whsec_…, is shown by the endpoint."),
    known(
        "meta",
        "Meta",
        "Webhooks of the app: enter the URL as callback, and a verify token that you choose. The secret here is APP_SECRET:VERIFY_TOKEN.",
    ),
    known("zoom", "Zoom", "Event Subscriptions: enter the URL. The secret is the Secret Token of the app."),
    known(
        "microsoft_graph",
        "Microsoft Graph",
        "Create the subscription with this URL, and with the same clientState as the secret here.",
    ),
    known(
        "hydra",
        "Hydra Webhooks",
        "Create a webhook with this URL there. Its signing secret, whsec_…, is the secret here.",
    ),
    known(
        "x_webhook",
        "Hydra Webhooks, X-Webhook format",
        "Create a webhook with this URL and this format there. Its signing secret is the secret here.",
    ),
    known(
        "mime",
        "Mail as raw MIME",
        "Let the mail service POST raw messages to the URL. Who has the URL can send mail: keep it private.",
    ),
];

fn find(provider: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.provider == provider)
}

pub fn name(provider: &str) -> &str {
    find(provider).map_or(provider, |known| known.name)
}

/// What has to be done at the provider.
pub fn steps(provider: &str) -> &'static str {
    find(provider).map_or("Enter the URL there, and the secret that it signs with here.", |known| known.steps)
}

/// The choice of a provider. Of the lines below it, the stylesheet shows the one that is in the place of what is chosen,
/// or all where a browser cannot tell.
pub fn choice(providers: &[Provider], chosen: &str, described: Option<String>, invalid: Option<&str>) -> Markup {
    html! {
        select #field-provider name="provider" aria-describedby=[described] aria-invalid=[invalid] {
            @for provider in providers {
                option value=(provider.name) selected[provider.name == chosen] { (name(&provider.name)) }
            }
            @if !providers.iter().any(|provider| provider.name == chosen) {
                option value=(chosen) selected { (chosen) }
            }
        }
        ul.guide #hint-provider {
            @for provider in providers {
                li { b { (name(&provider.name)) ": " } (steps(&provider.name)) }
            }
        }
    }
}
