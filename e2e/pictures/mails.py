"""Pictures of mails, and what can be said of a mail without looking at it."""

import html
import pathlib
import re

import people
import view

HERE = pathlib.Path(__file__).parent
SCRIPT = (HERE / "mails.js").read_text()
TEXTS = HERE / "../../api-server/src/mail/texts/en.yaml"
VIEWS = (
    view.View("phone", 375, "light"), view.View("phone", 375, "dark"), view.View("phone", 375, "turned"),
    view.View("desk", 1000, "light"), view.View("desk", 1000, "dark"),
)
# What is left of a template, or of a value that was not there.
LEFT_OVER = re.compile(r"\{\{|\}\}|\{%|\[\[|\]\]|\b(?:null|undefined|None|Some)\b")
# The smallest thing that a thumb finds, in pixels (Apple 44, Google 48, WCAG 2.5.5 44).
THUMB = 44
# Letters beside what they stand on, as WCAG 2.1 counts it at level AA.
CONTRAST = 4.5
# A phone's list of mails shows so much of a subject.
SUBJECT = 45


def take(report, page, api):
    """Has every kind of mail sent, and looks at each."""
    kinds = set(re.findall(r"^  ([A-Z_]+):$", TEXTS.read_text(), re.MULTILINE))
    for person in people.PEOPLE:
        mails = people.mails_to(api, person)
        sent = {mail.kind for mail in mails}
        report.check(sent == kinds, f"{person.mark}: these kinds are not in the story: {sorted(kinds ^ sent)}")
        report.check(len({mail.subject for mail in mails}) == len(mails), f"{person.mark}: two kinds have one subject")
        for mail in mails:
            look(report, page, mail)
        inbox(report, page, person, mails)


def look(report, page, mail):
    """Takes a mail's pictures."""
    name = f"{mail.person.mark}/{mail.kind.lower().replace('_', '-')}"
    (report.folder / name).parent.mkdir(exist_ok=True)
    (report.folder / f"{name}.txt").write_text(f"{mail.subject}\n\n{mail.text}")
    source = report.folder / f"{name}.html"
    source.write_text(mail.html)
    for one in VIEWS:
        page.look(one)
        page.open(source.as_uri())
        report.took(name, one, page.picture(report.folder / f"{name}.{one}.png"))
        found = page.ask(f"({SCRIPT})({one.width})")
        what = f"{name} ({one})"
        asked = [url for url in page.requests() if url != source.as_uri() and not url.startswith("data:")]
        report.check(not asked, f"{what} asks for {asked}")
        report.check(not found["wide"], f"{what} is wider than its screen: {found['wide']}")
        small = [link for link in found["buttons"] if link["height"] < THUMB]
        report.check(not small, f"{what}: too small for a thumb: {small}")
        report.check(len(found["buttons"]) == 1, f"{what} has {len(found['buttons'])} buttons")
        # What a mail program makes of colours by itself stands in no style.
        pale = [words for words in found["contrasts"] if words["contrast"] < CONTRAST and one.scheme != "turned"]
        report.check(not pale, f"{what}: hard to read: {pale}")
    words(report, name, mail, found)


def words(report, name, mail, found):
    """Compares the two forms of a mail."""
    shown = " ".join(found["text"].split())
    for place, text in (("subject", mail.subject), ("text", mail.text), ("HTML", shown)):
        left = LEFT_OVER.findall(text)
        report.check(not left, f"{name}: left over in the {place}: {left}")
    report.check(len(mail.subject) <= SUBJECT, f"{name}: the subject has {len(mail.subject)} letters: {mail.subject}")
    report.check(found["lang"] == mail.person.language.lower(), f"{name}: the language is said to be {found['lang']!r}")
    lines = [" ".join(line.rstrip(":").split()) for line in mail.text.splitlines()]
    lost = [line for line in lines if line not in ("", "--") and line not in shown]
    report.check(not lost, f"{name}: in the text and not in the HTML: {lost}")
    links = set(re.findall(r"https?://\S+", mail.text))
    report.check(links == set(found["links"]), f"{name}: links {links} in the text, {set(found['links'])} in the HTML")


def inbox(report, page, person, mails):
    """Takes a picture of what a phone's list shows of the mails: the subject, and the first words."""
    rows = []
    for mail in mails:
        # What is hidden in the HTML is what lists show.
        source = report.folder / f"{person.mark}/{mail.kind.lower().replace('_', '-')}.html"
        page.open(source.as_uri())
        first = page.ask("document.body.textContent.replace(/\\s+/g, ' ').trim().slice(0, 140)")
        rows.append(f"<b>Nakhoda</b><div>{html.escape(mail.subject)}</div><i>{html.escape(first)}</i><hr>")
    style = "body{font:15px Roboto;margin:12px}div,i{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;display:block;color:#555}"
    listed = report.folder / f"{person.mark}/inbox.html"
    listed.write_text(f"<meta charset=utf-8><meta name=viewport content='width=device-width'><style>{style}</style>{''.join(rows)}")
    phone = VIEWS[0]
    page.look(phone)
    page.open(listed.as_uri())
    report.took(f"{person.mark}/inbox", phone, page.picture(report.folder / f"{person.mark}/inbox.{phone}.png"))
