//! From a mail's kind and data to its subject, text and HTML. The words stand in `texts`, one file a language; the layout is one for
//! all, in MJML, turned into HTML once.

use super::prepare::Ready;
use crate::users::Language;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, value::Serde};
use mrml::prelude::{parser::ParserOptions, render::RenderOptions};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

const LAYOUT: &str = include_str!("layout.mjml");
const TEXTS: [(Language, &str); 2] =
    [(Language::En, include_str!("texts/en.yaml")), (Language::Id, include_str!("texts/id.yaml"))];

/// A mail as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// The subject.
    pub subject: String,
    /// For programs that show text.
    pub text: String,
    /// For programs that show HTML.
    pub html: String,
}

/// Why a mail can't be composed. A test composes every kind in every language.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The texts can't be read.
    #[error("the texts of mails can't be read: {0}")]
    Texts(#[from] serde_yaml::Error),
    /// The layout can't be read.
    #[error("the layout of mails can't be read: {0}")]
    Layout(String),
    /// A text names what is not there.
    #[error("a mail can't be rendered")]
    Render(#[from] minijinja::Error),
    /// A kind has no text.
    #[error("there is no text for {0}")]
    Missing(&'static str),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    link_hint: String,
    footer: String,
    /// Stands before the address of the support's page.
    help: String,
    greeting: String,
    greeting_unknown: String,
    mails: BTreeMap<String, Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    subject: String,
    paragraphs: Vec<String>,
    button: Option<String>,
    /// Where the button leads, where the mail has no link of its own.
    link: Option<String>,
    note: String,
}

/// Composes mails.
#[derive(Debug)]
pub struct Composer {
    texts: Vec<(Language, Texts)>,
    html: String,
}

impl Composer {
    /// Reads texts and layout.
    ///
    /// # Errors
    /// [`ComposeError`].
    pub fn new() -> Result<Self, ComposeError> {
        let read = |(language, text)| Ok((language, serde_yaml::from_str(text)?));
        let texts = TEXTS.into_iter().map(read).collect::<Result<_, ComposeError>>()?;
        let layout = |error: &dyn std::fmt::Display| ComposeError::Layout(error.to_string());
        let parsed =
            mrml::parse_with_options(LAYOUT, &ParserOptions::default()).map_err(|error| layout(&error))?;
        // No font is fetched from elsewhere: it would tell somebody who opens which mail.
        let options = RenderOptions { fonts: HashMap::new(), ..RenderOptions::default() };
        let html = parsed.element.render(&options).map_err(|error| layout(&error))?;
        let html = html
            .replace("[[paragraphs]]", "{% for one in paragraphs %}")
            .replace("[[end paragraphs]]", "{% endfor %}")
            .replace("[[button]]", "{% if button %}")
            .replace("[[end]]", "{% endif %}");
        Ok(Self { texts, html })
    }

    /// Composes one.
    ///
    /// # Errors
    /// [`ComposeError`].
    pub fn compose(&self, ready: &Ready) -> Result<Composed, ComposeError> {
        let missing = || ComposeError::Missing(ready.kind.as_str());
        let texts =
            self.texts.iter().find(|(language, _)| *language == ready.language).map(|(_, texts)| texts);
        let texts = texts.ok_or_else(missing)?;
        let text = texts.mails.get(ready.kind.as_str()).ok_or_else(missing)?;
        let mut data = ready.data.clone();
        let home = data["home"].as_str().unwrap_or_default().trim_end_matches('/').to_owned();
        let support = format!("{home}/support");
        data["home"] = json!(home);
        let plain = engine(AutoEscape::None);
        let fill = |words: &str, data: &Value| plain.render_str(words, Serde(data));
        if let Some(link) = &text.link {
            data["link"] = json!(fill(link, &data)?);
        }
        let greeting = if data["name"].is_string() { &texts.greeting } else { &texts.greeting_unknown };
        let words = std::iter::once(greeting).chain(&text.paragraphs);
        let paragraphs = words.map(|one| fill(one, &data)).collect::<Result<Vec<_>, _>>()?;
        let subject = one_line(&fill(&text.subject, &data)?);
        let note = fill(&text.note, &data)?;
        let link = text.button.as_ref().and_then(|_| data["link"].as_str());
        let words = json!({
            "lang": ready.language.as_str(), "subject": subject, "heading": subject, "preview": paragraphs.get(1),
            "paragraphs": paragraphs, "button": text.button, "link": link.unwrap_or_default(), "link_hint": texts.link_hint,
            "note": note, "footer": texts.footer, "help": texts.help, "support": support,
        });
        let html = engine(AutoEscape::Html).render_str(&self.html, Serde(&words))?;
        let mut blocks = paragraphs;
        blocks.extend(text.button.iter().zip(link).map(|(button, link)| format!("{button}:\n{link}")));
        blocks.extend([note, format!("-- \n{}\n{} {support}", texts.footer, texts.help)]);
        Ok(Composed { subject, text: blocks.join("\n\n"), html })
    }
}

fn engine(escape: AutoEscape) -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(move |_| escape.clone());
    engine
}

/// A header can hold one line only.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Kind;

    fn ready(kind: Kind, language: Language) -> Ready {
        let data = json!({
            "name": "Ayu <b>Lestari</b>", "hours": 48, "home": "https://app.example.com", "link": "https://app.example.com/verify-email?token=abc",
            "new_email": "new@example.com", "amount": "Rp 500.000", "number": "TXMP-102", "of": "TXMP-101", "balance": "Rp 1.250.000",
            "owed": "Rp 40.000", "subscription": "Ghost Small", "subscription_id": "0192a000-0000-7000-8000-000000000001",
            "paid_until": "2026-12-22", "refund": "Rp 44.500",
        });
        Ready { kind, language, data }
    }

    #[test]
    fn every_kind_has_its_words_in_every_language_and_its_link_in_both_forms() {
        let composer = Composer::new().unwrap();
        for language in [Language::En, Language::Id] {
            for kind in Kind::ALL {
                let mail = composer.compose(&ready(*kind, language)).unwrap();
                assert!(!mail.subject.is_empty() && mail.text.contains("Ayu <b>Lestari</b>"), "{mail:?}");
                assert!(mail.html.contains("Ayu &lt;b&gt;Lestari"), "{}", mail.html);
                assert!(
                    !mail.html.contains("{{")
                        && !mail.html.contains("{%")
                        && !mail.html.contains("[[")
                        && !mail.html.contains("googleapis")
                );
                let html = mail.html.replace("&#x2f;", "/");
                let links: Vec<_> =
                    mail.text.split_whitespace().filter(|word| word.starts_with("http")).collect();
                assert_eq!(links.len(), 2, "its own and the support's: {}", mail.text);
                for link in links {
                    assert!(html.contains(&format!("href=\"{link}\"")), "{kind:?}: {link}: {html}");
                }
            }
        }
    }

    #[test]
    fn texts_name_no_mail_that_does_not_exist() {
        let composer = Composer::new().unwrap();
        for (_, texts) in &composer.texts {
            assert!(texts.mails.keys().all(|key| Kind::of(key).is_some()));
        }
    }

    #[test]
    fn a_name_cannot_be_a_template() {
        let mut ready = ready(Kind::Welcome, Language::En);
        ready.data["name"] = json!("{{ home }} {% raw %}");
        let mail = Composer::new().unwrap().compose(&ready).unwrap();
        assert!(mail.text.starts_with("Hello {{ home }} {% raw %},"));
    }

    #[test]
    fn of_what_is_cancelled_data_is_promised_for_as_long_as_it_is_kept_and_none_where_there_is_none() {
        let note = |language, more: Value| {
            let mut ready = ready(Kind::SubscriptionCancelled, language);
            ready.data.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            Composer::new().unwrap().compose(&ready).unwrap().text
        };
        let kept = |days: Option<i64>, hours: Option<i64>| json!({"has_data": true, "kept_days": days, "kept_hours": hours});
        for (more, en, id) in [
            (
                kept(Some(30), Some(720)),
                "Its data is kept for 30 days. If",
                "Datanya disimpan selama 30 hari. Jika",
            ),
            (
                kept(Some(1), Some(24)),
                "Its data is kept for 1 day. If",
                "Datanya disimpan selama 1 hari. Jika",
            ),
            (
                kept(None, Some(36)),
                "Its data is kept for 36 hours. If",
                "Datanya disimpan selama 36 jam. Jika",
            ),
            (
                kept(None, None),
                "Its data is kept for a while. If",
                "Datanya disimpan untuk sementara waktu. Jika",
            ),
            // One that an older version has queued.
            (json!({}), "Its data is kept for a while. If", "Datanya disimpan untuk sementara waktu. Jika"),
        ] {
            assert!(note(Language::En, more.clone()).contains(en), "{more}");
            assert!(note(Language::Id, more.clone()).contains(id), "{more}");
        }
        let never_made = json!({"has_data": false, "kept_days": null, "kept_hours": null});
        assert!(!note(Language::En, never_made.clone()).contains("data"));
        assert!(!note(Language::Id, never_made).contains("Datanya"));
    }

    #[test]
    fn it_reads_well() {
        insta::assert_snapshot!(
            Composer::new().unwrap().compose(&ready(Kind::VerifyEmail, Language::En)).unwrap().text
        );
    }
}
