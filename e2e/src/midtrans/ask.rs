//! Reading what the merchant asks of Snap, as strictly as the gateway does.

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use super::method::Method;
use super::order::{self, Notify, Terms};
use super::wib::{self, Unit};

/// The page's life where nothing is said of it.
const PAGE: SignedDuration = SignedDuration::from_hours(24);
/// The least and the most that can be said of it.
const PAGE_RANGE: (SignedDuration, SignedDuration) =
    (SignedDuration::from_mins(5), SignedDuration::from_hours(7 * 24));

/// The terms of a request, or all that is wrong with it.
pub fn terms(body: &[u8], headers: &HeaderMap, now: Timestamp) -> Result<Terms, Vec<String>> {
    let body: Value = serde_json::from_slice(body).map_err(|_| vec!["the body is not JSON".to_owned()])?;
    let mut wrong = Vec::new();
    let order_id = order_id(&body, &mut wrong);
    let gross = gross(&body, &mut wrong);
    items(&body, gross, &mut wrong);
    let enabled = enabled(&body, &mut wrong);
    let custom =
        ["custom_field1", "custom_field2", "custom_field3"].map(|name| custom(&body, name, &mut wrong));
    let (start, life) = expiry(&body, &mut wrong);
    let page = page_expiry(&body, &mut wrong);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    // A page that has its own end keeps it; else it ends with the methods, as far as their end is known.
    let page_until = match (page, life) {
        (Some(page), _) => now.checked_add(page),
        (None, Some(life)) => start.unwrap_or(now).checked_add(life),
        (None, None) => now.checked_add(PAGE),
    };
    Ok(Terms {
        order_id,
        gross,
        token: Uuid::new_v4().to_string(),
        created: now,
        start,
        life,
        page_until: page_until.unwrap_or(Timestamp::MAX),
        enabled,
        custom,
        metadata: body.get("metadata").filter(|metadata| !metadata.is_null()).cloned(),
        notify: notify(headers),
        finish: body.pointer("/callbacks/finish").and_then(Value::as_str).map(str::to_owned),
    })
}

fn order_id(body: &Value, wrong: &mut Vec<String>) -> String {
    let id = body.pointer("/transaction_details/order_id").and_then(Value::as_str).unwrap_or_default();
    let says = if id.is_empty() {
        "is required"
    } else if id.chars().count() > 50 {
        "size must not be greater than 50"
    } else if !id.chars().all(|c| c.is_ascii_alphanumeric() || "-_~.".contains(c)) {
        "contains a symbol that is not allowed"
    } else {
        return id.to_owned();
    };
    wrong.push(format!("transaction_details.order_id {says}"));
    String::new()
}

fn gross(body: &Value, wrong: &mut Vec<String>) -> i64 {
    let says = match body.pointer("/transaction_details/gross_amount") {
        None | Some(Value::Null) => "is required",
        Some(value) => match value.as_i64() {
            Some(gross) if gross > 0 => return gross,
            Some(_) => "must be greater than or equal to 0.01",
            None => "is not a number",
        },
    };
    wrong.push(format!("transaction_details.gross_amount {says}"));
    0
}

fn items(body: &Value, gross: i64, wrong: &mut Vec<String>) {
    let Some(items) = body.get("item_details").filter(|items| !items.is_null()) else { return };
    let Some(items) = items.as_array() else { return wrong.push("item_details is not a list".to_owned()) };
    let mut sum: i64 = 0;
    for (place, item) in items.iter().enumerate() {
        let length = |name: &str| item[name].as_str().unwrap_or_default().chars().count();
        if length("id") > 50 || length("name") > 50 || length("merchant_name") > 50 {
            wrong.push(format!("item_details[{place}] has a text of more than 50 characters"));
        }
        if length("name") == 0 {
            wrong.push(format!("item_details[{place}].name is required"));
        }
        match (item["price"].as_i64(), item["quantity"].as_i64()) {
            (Some(price), Some(quantity)) if quantity > 0 => {
                sum = sum.saturating_add(price.saturating_mul(quantity));
            }
            _ => {
                wrong.push(format!("item_details[{place}] needs a whole price and a quantity of at least 1"));
            }
        }
    }
    if wrong.is_empty() && sum != gross {
        wrong.push("transaction_details.gross_amount is not equal to the sum of item_details".to_owned());
    }
}

fn enabled(body: &Value, wrong: &mut Vec<String>) -> Vec<Method> {
    let Some(names) = body.get("enabled_payments").filter(|names| !names.is_null()) else {
        return order::all_methods();
    };
    let names = names.as_array().map(Vec::as_slice).unwrap_or_default();
    let methods: Vec<Method> =
        names.iter().filter_map(|name| Method::parse(name.as_str().unwrap_or_default())).collect();
    if methods.len() != names.len() || methods.is_empty() {
        wrong.push("enabled_payments names a method that is not known".to_owned());
    }
    methods
}

fn custom(body: &Value, name: &str, wrong: &mut Vec<String>) -> Option<String> {
    let value = body.get(name).filter(|value| !value.is_null())?;
    let text = value.as_str().filter(|text| text.chars().count() <= 255);
    if text.is_none() {
        wrong.push(format!("{name} is not a text of at most 255 characters"));
    }
    text.map(str::to_owned)
}

fn span(value: &Value) -> Option<SignedDuration> {
    let unit: Unit = serde_json::from_value(value["unit"].clone()).ok()?;
    value["duration"].as_i64().filter(|count| *count > 0).and_then(|count| unit.times(count))
}

fn expiry(body: &Value, wrong: &mut Vec<String>) -> (Option<Timestamp>, Option<SignedDuration>) {
    let Some(expiry) = body.get("expiry").filter(|expiry| !expiry.is_null()) else { return (None, None) };
    let life = span(expiry);
    if life.is_none() {
        wrong.push("expiry needs a unit and a duration of at least 1".to_owned());
    }
    let Some(start) = expiry.get("start_time").filter(|start| !start.is_null()) else { return (None, life) };
    let start = start.as_str().and_then(wib::parse_start);
    if start.is_none() {
        wrong.push("expiry.start_time is not of the form yyyy-MM-dd HH:mm:ss Z".to_owned());
    }
    (start, life)
}

fn page_expiry(body: &Value, wrong: &mut Vec<String>) -> Option<SignedDuration> {
    let page = body.get("page_expiry").filter(|page| !page.is_null())?;
    let (least, most) = PAGE_RANGE;
    let life = span(page).filter(|life| (least..=most).contains(life));
    if life.is_none() {
        wrong.push("page_expiry is not between 5 minutes and 7 days".to_owned());
    }
    life
}

fn notify(headers: &HeaderMap) -> Notify {
    let urls = |name: &str| -> Option<Vec<String>> {
        let text = headers.get(name)?.to_str().ok()?;
        Some(text.split(',').map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()).collect())
    };
    match (urls("x-override-notification"), urls("x-append-notification")) {
        (Some(urls), _) => Notify::Instead(urls),
        (None, Some(urls)) => Notify::Also(urls),
        (None, None) => Notify::Own,
    }
}
