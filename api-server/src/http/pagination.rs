//! Lists: pages by key, so that what is added or removed meanwhile neither repeats nor hides a row; filters and sorts that are known,
//! or a word about the one that is not.

use super::{
    json::NUL,
    problem::{Code, Problem},
};
use axum::{extract::FromRequestParts, http::request::Parts};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::form_urlencoded;
use utoipa::{
    IntoParams, ToSchema,
    openapi::{
        ObjectBuilder, RefOr, Schema, Type,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{KnownFormat, SchemaFormat, SchemaType},
    },
};
use uuid::Uuid;

/// Rows of a page where nothing is said.
const SIZE: u32 = 20;
/// The most rows of a page.
const MOST: u32 = 100;

/// A field that a list is sorted by.
pub trait SortField: Copy + PartialEq + 'static {
    /// All of them with their names; the first is the one where nothing is said.
    const ALL: &'static [(&'static str, Self)];
    /// Whether the list begins with the largest where nothing is said.
    const DESCENDING: bool;
}

/// The order of lists that know no other: by when a row was written, the newest first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ByCreation;

impl SortField for ByCreation {
    const ALL: &'static [(&'static str, Self)] = &[("created_at", Self)];
    const DESCENDING: bool = true;
}

/// Where a page begins: the sorted value of the row beside it, and its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The value, as text.
    #[serde(rename = "v")]
    pub value: String,
    /// The id.
    #[serde(rename = "i")]
    pub id: Uuid,
    /// How the list was sorted, so that a cursor is not used in another order.
    #[serde(rename = "s")]
    sort: String,
}

impl Cursor {
    /// The place of a row by its value and id, for whoever reads on without an address.
    pub fn of(value: String, id: Uuid) -> Self {
        Self { value, id, sort: String::new() }
    }
}

/// On which side of its cursor a page lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The first page.
    Start,
    /// What follows a row.
    After(Cursor),
    /// What comes before a row.
    Before(Cursor),
}

/// What is asked of a list.
#[derive(Clone, Debug)]
pub struct List<F, S> {
    /// The filters.
    pub filter: F,
    /// The field to sort by.
    pub sort: S,
    /// Whether from the largest down.
    pub descending: bool,
    /// How many rows.
    pub size: u32,
    /// Which of them.
    pub place: Place,
    sort_text: String,
    path: String,
    others: Vec<(String, String)>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The next page, where there is one.
    #[schema(required = true)]
    pub next: Option<String>,
    /// The page before, where there is one.
    #[schema(required = true)]
    pub prev: Option<String>,
    /// How many rows there are in all pages, where that is cheap to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false)]
    pub total: Option<i64>,
}

impl<F: IntoParams, S: SortField> IntoParams for List<F, S> {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let query = |name: &str, says: String, schema: ObjectBuilder| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            parameter.description(Some(says)).schema(Some(schema)).build()
        };
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let orders = S::ALL.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("-{name}")]);
        let first = S::ALL.first().map(|(name, _)| *name).unwrap_or_default();
        let default = if S::DESCENDING { format!("-{first}") } else { first.to_owned() };
        let size = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .minimum(Some(1))
            .maximum(Some(MOST))
            .default(Some(SIZE.into()));
        let sort = text().enum_values(Some(orders)).default(Some(default.into()));
        let mut all = F::into_params(place);
        all.iter_mut().for_each(no_nul);
        all.extend([
            query("sort", "By what; a `-` before it is from the largest down.".to_owned(), sort),
            query("page[size]", "Rows of a page.".to_owned(), size),
            query("page[after]", "As the link to the next page has it.".to_owned(), text()),
            query("page[before]", "As the link to the page before has it.".to_owned(), text()),
        ]);
        all
    }
}

impl<S: Send + Sync, F: DeserializeOwned, By: SortField> FromRequestParts<S> for List<F, By> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let original = parts.extensions.get::<axum::extract::OriginalUri>().map(|uri| uri.0.clone());
        let uri = original.unwrap_or_else(|| parts.uri.clone());
        Self::parse(uri.path(), uri.query().unwrap_or_default())
    }
}

/// Says that a text has no NUL, where nothing narrower is said of it.
fn no_nul(parameter: &mut Parameter) {
    if let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema
        && matches!(&schema.schema_type, SchemaType::Type(Type::String) | SchemaType::Array(_))
        && schema.format.is_none()
        && schema.enum_values.is_none()
        && schema.pattern.is_none()
    {
        schema.pattern = Some(r"^[^\u0000]*$".to_owned());
    }
}

fn refuse(field: &str, message: impl Into<String>) -> Problem {
    Problem::field(Code::Malformed, field, message)
}

impl<F, S: SortField> List<F, S> {
    /// The row beside which the page lies; none for the first page.
    pub fn beyond(&self) -> Option<&Cursor> {
        match &self.place {
            Place::Start => None,
            Place::After(cursor) | Place::Before(cursor) => Some(cursor),
        }
    }

    /// How many rows to read, so that it is known whether there are more.
    pub fn limit(&self) -> i64 {
        i64::from(self.size) + 1
    }
}

impl<F: DeserializeOwned, S: SortField> List<F, S> {
    fn parse(path: &str, query: &str) -> Result<Self, Problem> {
        let mut others: Vec<(String, String)> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if let Some((name, _)) = others.iter().find(|(_, value)| value.contains('\0')) {
            return Err(refuse(name, NUL));
        }
        let mut take = |name: &str| -> Result<Option<String>, Problem> {
            let found: Vec<String> =
                others.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect();
            match found.as_slice() {
                [] => Ok(None),
                [one] => Ok(Some(one.clone())),
                _ => Err(refuse(name, "is there more than once")),
            }
        };
        let size = match take("page[size]")? {
            None => SIZE,
            Some(text) => text
                .parse()
                .ok()
                .filter(|size| (1..=MOST).contains(size))
                .ok_or_else(|| refuse("page[size]", format!("must be 1 to {MOST}")))?,
        };
        let said = take("sort")?;
        let (after, before) = (take("page[after]")?, take("page[before]")?);
        let (sort, descending) = sort::<S>(said.as_deref())?;
        let sort_text = said.unwrap_or_default();
        let cursor = |name: &str, text: String| {
            read(&text)
                .filter(|cursor| cursor.sort == sort_text)
                .ok_or_else(|| refuse(name, "is no place in this list; begin without it"))
        };
        let place = match (after, before) {
            (None, None) => Place::Start,
            (Some(text), None) => Place::After(cursor("page[after]", text)?),
            (None, Some(text)) => Place::Before(cursor("page[before]", text)?),
            (Some(_), Some(_)) => return Err(refuse("page[before]", "can't be there beside page[after]")),
        };
        let filters = form_urlencoded::Serializer::new(String::new()).extend_pairs(&others).finish();
        let filter = serde_urlencoded::from_str(&filters).map_err(|error| {
            Problem::with(Code::Malformed, format!("The filters can't be read: {error}."))
        })?;
        Ok(Self { filter, sort, descending, size, place, sort_text, path: path.to_owned(), others })
    }

    /// Whether the rows are to be read in the order opposite to the list's, as for the page before a row.
    pub fn is_backwards(&self) -> bool {
        matches!(self.place, Place::Before(_))
    }

    /// Whether the rows are to be read from the largest down.
    pub fn reads_descending(&self) -> bool {
        self.descending != self.is_backwards()
    }

    /// The page of the rows that were read: in reading order, and one more than asked for where there are more.
    pub fn page<T, R>(
        &self,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> (String, Uuid),
        total: Option<i64>,
    ) -> Page<T>
    where
        T: From<R>,
    {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let has_more = rows.len() > size;
        rows.truncate(size);
        if self.is_backwards() {
            rows.reverse();
        }
        let link = |side: &str, row: Option<&R>| row.map(|row| self.link(side, key(row)));
        let (has_next, has_prev) = match self.place {
            Place::Start => (has_more, false),
            Place::After(_) => (has_more, true),
            Place::Before(_) => (true, has_more),
        };
        let next = link("page[after]", rows.last()).filter(|_| has_next);
        let prev = link("page[before]", rows.first()).filter(|_| has_prev);
        Page { next, prev, items: rows.into_iter().map(T::from).collect(), total }
    }

    /// The page of rows that are all at hand, put in order by the text of their keys.
    pub fn page_of_all<T, R>(&self, mut rows: Vec<R>, key: impl Fn(&R) -> (String, Uuid)) -> Page<T>
    where
        T: From<R>,
    {
        let total = i64::try_from(rows.len()).ok();
        rows.sort_by_cached_key(&key);
        if self.reads_descending() {
            rows.reverse();
        }
        if let Some(cursor) = self.beyond() {
            let beside = (cursor.value.clone(), cursor.id);
            rows.retain(|row| if self.reads_descending() { key(row) < beside } else { key(row) > beside });
        }
        self.page(rows, key, total)
    }

    fn link(&self, side: &str, (value, id): (String, Uuid)) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.others).append_pair("page[size]", &self.size.to_string());
        if !self.sort_text.is_empty() {
            query.append_pair("sort", &self.sort_text);
        }
        query.append_pair(side, &write(&Cursor { value, id, sort: self.sort_text.clone() }));
        format!("{}?{}", self.path, query.finish())
    }
}

fn sort<S: SortField>(said: Option<&str>) -> Result<(S, bool), Problem> {
    let Some(said) = said else {
        return S::ALL
            .first()
            .map(|(_, sort)| (*sort, S::DESCENDING))
            .ok_or_else(|| Problem::new(Code::Internal));
    };
    let (name, descending) = said.strip_prefix('-').map_or((said, false), |name| (name, true));
    let known = S::ALL.iter().find(|(known, _)| *known == name);
    known.map(|(_, sort)| (*sort, descending)).ok_or_else(|| {
        let names: Vec<&str> = S::ALL.iter().map(|(name, _)| *name).collect();
        refuse(
            "sort",
            format!("can be {}, each with a - before it for the other direction", names.join(", ")),
        )
    })
}

fn write(cursor: &Cursor) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(cursor).unwrap_or_default())
}

fn read(text: &str) -> Option<Cursor> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum By {
        Created,
        Name,
    }

    impl SortField for By {
        const ALL: &'static [(&'static str, Self)] = &[("created_at", Self::Created), ("name", Self::Name)];
        const DESCENDING: bool = true;
    }

    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Filter {
        role: Option<String>,
    }

    fn parse(query: &str) -> Result<List<Filter, By>, String> {
        List::parse("/things", query).map_err(|problem: Problem| problem.body("r").detail)
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        assert!(parse("color=red").unwrap_err().contains("unknown field `color`"));
        assert!(parse("sort=size").unwrap_err().contains("created_at, name"));
        for wrong in [
            "page[size]=0",
            "page[size]=101",
            "page[size]=x",
            "page[after]=x",
            "page[size]=1&page[size]=2",
            "role=A&role=B",
            "role=A%00",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_page_links_to_its_neighbours_with_all_that_was_asked() {
        let list = parse("role=ADMIN&sort=-name&page[size]=2").unwrap();
        assert_eq!(
            (list.sort, list.descending, list.filter.role.as_deref()),
            (By::Name, true, Some("ADMIN"))
        );
        let rows: Vec<u32> = vec![3, 2, 1];
        let key = |row: &u32| (row.to_string(), Uuid::from_u128((*row).into()));
        let page: Page<u64> = list.page(rows, key, None);
        assert_eq!((page.items, page.prev), (vec![3, 2], None));
        let (path, query) = page.next.as_deref().unwrap().split_once('?').unwrap();
        assert_eq!(path, "/things");
        let next = parse(query).unwrap();
        assert!(matches!(&next.place, Place::After(cursor) if cursor.value == "2"));
        assert_eq!((next.size, next.filter.role.as_deref()), (2, Some("ADMIN")));
        let final_page: Page<u64> = next.page(vec![1], key, None);
        assert_eq!((final_page.items, final_page.next), (vec![1], None));
        let back = parse(final_page.prev.unwrap().split_once('?').unwrap().1).unwrap();
        assert!(back.is_backwards() && !back.reads_descending());
        let first: Page<u64> = back.page(vec![2, 3], key, None);
        assert_eq!((first.items, first.prev), (vec![3, 2], None));
    }

    #[test]
    fn rows_at_hand_are_paged_in_both_directions() {
        let key = |row: &u32| (format!("{row:04}"), Uuid::from_u128((*row).into()));
        let follow = |link: Option<String>| parse(link.unwrap().split_once('?').unwrap().1).unwrap();
        let first = parse("sort=-name&page[size]=2").unwrap();
        let page: Page<u64> = first.page_of_all(vec![1u32, 3, 20, 2, 10], key);
        assert_eq!((page.items, page.total, page.prev), (vec![20, 10], Some(5), None));
        let page: Page<u64> = follow(page.next).page_of_all(vec![1u32, 3, 20, 2, 10], key);
        assert_eq!((&page.items[..], page.prev.is_some()), (&[3, 2][..], true));
        let back: Page<u64> = follow(page.prev).page_of_all(vec![1u32, 3, 20, 2, 10], key);
        assert_eq!((back.items, back.prev), (vec![20, 10], None));
        let last: Page<u64> = follow(page.next).page_of_all(vec![1u32, 3, 20, 2, 10], key);
        assert_eq!((last.items, last.next), (vec![1], None));
    }

    #[test]
    fn a_cursor_of_another_order_is_refused() {
        let list = parse("sort=name").unwrap();
        let page: Page<u64> = list.page(vec![1u32, 2], |row| (row.to_string(), Uuid::nil()), None);
        assert_eq!(page.next, None);
        let foreign =
            list.link("page[after]", ("1".to_owned(), Uuid::nil())).replace("sort=name", "sort=-name");
        assert!(parse(foreign.split_once('?').unwrap().1).is_err());
    }
}
