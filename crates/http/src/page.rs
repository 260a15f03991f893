//! Lists, a page at a time.

use axum::Json;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use baton_contract::Page;
use serde::Deserialize;

use crate::failure::{Failure, bad_request};

/// Items on a page unless the caller asks for another number.
const LIMIT: usize = 100;

/// Items on a page at most.
const LIMIT_MAX: usize = 1_000;

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    limit: usize,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct Asked {
    limit: Option<usize>,
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Window {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Window, Failure> {
        let asked = Query::<Asked>::from_request_parts(parts, state).await;
        let Query(asked) = asked.map_err(|_| bad_request("`limit` is a number and `cursor` is the `next` of the page before"))?;
        match asked.limit.unwrap_or(LIMIT) {
            limit @ 1..=LIMIT_MAX => Ok(Window { limit, cursor: asked.cursor }),
            _ => Err(bad_request(format!("`limit` is a number from 1 to {LIMIT_MAX}"))),
        }
    }
}

impl Window {
    /// How many items are on the page, and one more, which says whether there is another page.
    pub(crate) fn and_one(&self) -> usize {
        self.limit + 1
    }

    /// The place behind which the page begins; none: at the beginning.
    pub(crate) fn place<K>(&self, read: impl Fn(&str) -> Option<K>) -> Result<Option<K>, Failure> {
        let read = |cursor: &String| read(cursor).ok_or_else(|| bad_request("`cursor` is not the `next` of a page of this list"));
        self.cursor.as_ref().map(read).transpose()
    }

    /// The page of `items` that begins behind the cursor. `key` names an item's place and falls (or rises) along the list; the
    /// place stays even when the item is gone.
    pub(crate) fn cut<T, K: PartialOrd>(
        self,
        items: Vec<T>,
        key: impl Fn(&T) -> K,
        is_behind: impl Fn(&K, &K) -> bool,
        read: impl Fn(&str) -> Option<K>,
        write: impl Fn(&K) -> String,
    ) -> Result<Json<Page<T>>, Failure> {
        let from = match self.place(read)? {
            None => 0,
            Some(place) => items.iter().position(|item| is_behind(&key(item), &place)).unwrap_or(items.len()),
        };
        let is_more = items.len() - from > self.limit;
        let items: Vec<T> = items.into_iter().skip(from).take(self.limit).collect();
        let next = items.last().filter(|_| is_more).map(|item| write(&key(item)));
        Ok(Json(Page { items, next }))
    }
}

/// A list that fits on one page.
pub(crate) fn whole<T>(items: Vec<T>) -> Json<Page<T>> {
    Json(Page { items, next: None })
}
