//! Refuses schemes that prove nothing or contradict themselves, and secrets that cannot be keys.

use wire::refusal::Refusal;

use super::read::refusal;
use super::{Declared, Handshake, Parts, Piece, Scheme, Signature, Source, Timestamp};
use crate::verify::key;

const MAX_SOURCES: usize = 8;
const MAX_TEXT: usize = 255;
/// In bytes. A private key is shorter.
const LONGEST_SECRET: usize = 16_384;
const BUDGET_MS: std::ops::RangeInclusive<u32> = 100..=10_000;
const TOLERANCE: std::ops::RangeInclusive<u32> = 1..=86_400;

pub fn check(scheme: &Scheme) -> Result<(), Refusal> {
    let declared = match &scheme.signature {
        Some(Signature::Declared(declared)) => Some(declared),
        _ => None,
    };
    require(scheme.signature.is_none() || scheme.token.is_none(), "It has both a signature and a token.")?;
    require(BUDGET_MS.contains(&scheme.budget_ms), "\"budget_ms\" is from 100 to 10000.")?;
    let each_fits = scheme.each.as_ref().is_none_or(|each| (1..=MAX_TEXT).contains(&each.len()));
    require(each_fits, "\"each\" has 1 to 255 bytes.")?;
    sources("id", &scheme.id)?;
    sources("type", &scheme.external_type)?;
    if let Some(token) = &scheme.token {
        require(matches!(token, Source::Header(_) | Source::Path(_)), "\"token\" is a header or a path.")?;
    }
    if let Some(declared) = declared {
        check_signature(declared, scheme)?;
    }
    if let Some(timestamp) = &scheme.timestamp {
        check_timestamp(timestamp, declared)?;
    }
    let signs = matches!(scheme.handshake, None | Some(Handshake::MicrosoftGraph)) || declared.is_some();
    require(signs, "This handshake needs a declared signature.")
}

fn check_signature(declared: &Declared, scheme: &Scheme) -> Result<(), Refusal> {
    require(declared.signs.has(&Piece::Body), "\"signs\" does not have {body}, so nobody vouches for the body.")?;
    let signs_time = declared.signs.has(&Piece::Timestamp);
    require(!signs_time || scheme.timestamp.is_some(), "\"signs\" has {timestamp}, and there is no \"timestamp\".")?;
    let id_in_header = matches!(scheme.id[..], [Source::Header(_)]);
    require(!declared.signs.has(&Piece::Id) || id_in_header, "\"signs\" has {id}, so \"id\" is exactly one header.")?;
    require(declared.prefix.is_none() || declared.parts.is_none(), "It has both \"prefix\" and \"parts\".")?;
    let prefixes = [&declared.prefix, &declared.key_prefix].into_iter().flatten();
    require(prefixes.clone().all(|text| fits(text)), "A prefix has 1 to 255 bytes.")?;
    let trimmed = |prefix: &String| prefix.trim_ascii_start() == prefix;
    require(declared.prefix.iter().all(trimmed), "\"prefix\" begins with space, which headers do not keep.")?;
    match &declared.parts {
        Some(parts) => check_parts(parts, scheme.timestamp.as_ref().and_then(|timestamp| timestamp.part.as_ref())),
        None => Ok(()),
    }
}

fn check_parts(parts: &Parts, time: Option<&String>) -> Result<(), Refusal> {
    let Parts { separator, assign, name } = parts;
    let fit = [separator, assign, name].into_iter().all(|text| fits(text));
    require(fit, "The texts in \"parts\" have 1 to 255 bytes.")?;
    let separates = separator.chars().any(|c| !(c.is_ascii_alphanumeric() || "+/=".contains(c)));
    require(separates, "The \"separator\" could be a part of a signature.")?;
    require(!assign.contains(separator), "\"assign\" has the separator in it.")?;
    require(time != Some(name), "The timestamp and the signatures are parts of the same name.")?;
    let readable = |name: &String| name.trim() == name && !name.contains(separator) && !name.contains(assign);
    require(time.into_iter().chain([name]).all(readable), "The name of a part has space or a separator in it.")
}

fn check_timestamp(timestamp: &Timestamp, declared: Option<&Declared>) -> Result<(), Refusal> {
    let Timestamp { header, part, path, tolerance, .. } = timestamp;
    let places = [header.is_some(), part.is_some(), path.is_some()];
    let one_place = places.into_iter().filter(|is_some| *is_some).count() == 1;
    require(one_place, "\"timestamp\" has exactly one of \"header\", \"part\" and \"path\".")?;
    require(TOLERANCE.contains(tolerance), "\"tolerance\" is from 1 to 86400 seconds.")?;
    let Some(declared) = declared else {
        return require(false, "There is a \"timestamp\" without a declared signature, so nobody vouches for it.");
    };
    require(part.as_deref().is_none_or(fits), "The name of the part has 1 to 255 bytes.")?;
    let in_parts = part.is_none() || declared.parts.is_some();
    require(in_parts, "The timestamp is a part, and the signature has no \"parts\".")?;
    let in_signs = declared.signs.has(&Piece::Timestamp);
    require(in_signs || path.is_some(), "\"signs\" does not have {timestamp}, so nobody vouches for it.")?;
    require(!in_signs || path.is_none(), "The timestamp is in the body, so it is not in \"signs\" a second time.")
}

fn sources(section: &str, sources: &[Source]) -> Result<(), Refusal> {
    let few = |sources: &[Source]| sources.len() <= MAX_SOURCES;
    require(few(sources), &format!("\"{section}\" has at most {MAX_SOURCES} sources."))?;
    for source in sources {
        if let Source::Joined(parts) = source {
            let plain = !parts.is_empty() && !parts.iter().any(|part| matches!(part, Source::Joined(_)));
            let fits = few(parts) && plain;
            let otherwise = format!("\"joined\" in \"{section}\" has 1 to {MAX_SOURCES} sources, none of them joined.");
            require(fits, &otherwise)?;
        }
    }
    Ok(())
}

fn fits(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len())
}

fn require(condition: bool, otherwise: &str) -> Result<(), Refusal> {
    if condition { Ok(()) } else { Err(refusal(otherwise)) }
}

pub fn check_secret(scheme: &Scheme, secret: &[u8]) -> Result<(), Refusal> {
    if secret.len() > LONGEST_SECRET {
        return Err(Refusal::new("the secret is too long")
            .detail(format!("A secret has at most {LONGEST_SECRET} bytes; this one has {}.", secret.len()))
            .hint("Copy the secret alone from the settings of the provider."));
    }
    let key = match &scheme.signature {
        _ if secret.is_empty() => Err(key::Unusable { form: "not empty" }),
        _ if secret.trim_ascii() != secret => Err(key::Unusable { form: "a text without space around it" }),
        Some(Signature::Declared(declared)) => key::of(declared, key::signing_part(scheme, secret)).map(drop),
        _ => Ok(()),
    };
    key.map_err(|key::Unusable { form }| {
        Refusal::new("the secret cannot be used with this scheme")
            .detail(format!("The secret of this scheme is {form}."))
            .hint("Copy the secret from the settings of the provider, without space around it.")
    })?;
    if scheme.handshake == Some(Handshake::Meta) && key::verify_token(secret).is_none() {
        return Err(Refusal::new("the secret has no verify token")
            .detail("This scheme answers a request that proves itself by a verify token.")
            .hint("Give the secret as APP_SECRET:VERIFY_TOKEN, with a verify token that you choose."));
    }
    Ok(())
}
