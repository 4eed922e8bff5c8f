//! Reading a JSON object field by field: every problem is noted with its place, and the reading goes on.

use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::report::Report;

/// As good as for ever, and yet small enough to be added to any moment.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// One object of a configuration.
pub(crate) struct Section<'j, 'r> {
    path: String,
    fields: &'j Map<String, Json>,
    report: &'r mut Report,
    asked: Vec<&'static str>,
}

impl<'j, 'r> Section<'j, 'r> {
    /// The object at a place; `None`, with an error noted, when it is something else.
    pub(crate) fn open(path: String, json: &'j Json, report: &'r mut Report) -> Option<Self> {
        match json.as_object() {
            Some(fields) => Some(Self { path, fields, report, asked: Vec::new() }),
            None => {
                report.error(path, "must be an object");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn report(&mut self) -> &mut Report {
        self.report
    }

    /// The value of a field; null counts as not given.
    pub(crate) fn value(&mut self, key: &'static str) -> Option<&'j Json> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// Whether a field is not given.
    pub(crate) fn value_is_missing(&self, key: &str) -> bool {
        self.fields.get(key).is_none_or(Json::is_null)
    }

    /// Notes an error of a field. The message begins with the field's name.
    pub(crate) fn error(&mut self, key: &str, problem: &str) {
        self.report.error(format!("{}.{key}", self.path), format!("{key} {problem}"));
    }

    pub(crate) fn required_text(&mut self, key: &'static str, fix: &str) -> String {
        match self.value(key) {
            None => self.error(key, &format!("is required: {fix}")),
            Some(Json::String(text)) if !text.is_empty() => return text.clone(),
            Some(Json::String(_)) => self.error(key, &format!("is required: {fix}")),
            Some(_) => self.error(key, "must be a string"),
        }
        String::new()
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.value(key)? {
            Json::String(text) => Some(text.clone()),
            _ => {
                self.error(key, "must be a string");
                None
            }
        }
    }

    pub(crate) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let texts = match self.value(key)? {
            Json::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        if texts.is_none() {
            self.error(key, "must be a list of strings");
        }
        texts
    }

    /// A list of names, also as one string with commas.
    pub(crate) fn names(&mut self, key: &'static str) -> Option<Vec<String>> {
        match self.value(key)? {
            Json::String(names) => {
                let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
                Some(names.map(str::to_owned).collect())
            }
            _ => self.texts(key),
        }
    }

    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        if value.as_bool().is_none() {
            self.error(key, "must be true or false");
        }
        value.as_bool()
    }

    /// A whole number from `least` on.
    pub(crate) fn count(&mut self, key: &'static str, least: u64, problem: &str) -> Option<u64> {
        let count = whole(self.value(key)?).filter(|count| *count >= least);
        if count.is_none() {
            self.error(key, problem);
        }
        count
    }

    /// A number within bounds.
    pub(crate) fn number(&mut self, key: &'static str, least: f64, most: f64) -> Option<f64> {
        let number = self.value(key)?.as_f64().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let most = if most.is_finite() { format!(" to {most}") } else { String::new() };
            self.error(key, &format!("must be a number from {least}{most}"));
        }
        number
    }

    pub(crate) fn integer(&mut self, key: &'static str) -> Option<i32> {
        let integer = self.value(key)?.as_i64().and_then(|integer| i32::try_from(integer).ok());
        if integer.is_none() {
            self.error(key, "must be a whole number");
        }
        integer
    }

    /// A time in milliseconds, more than 0.
    pub(crate) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.count(key, 1, "must be a positive number of milliseconds").map(Duration::from_millis)
    }

    /// A time in milliseconds, 0 for as long as it takes.
    pub(crate) fn duration_or_never(&mut self, key: &'static str) -> Option<Duration> {
        let millis = self.count(key, 0, "must be a number of milliseconds, or 0 for no limit")?;
        Some(if millis == 0 { NEVER } else { Duration::from_millis(millis) })
    }

    /// One of several words.
    pub(crate) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.value(key)?;
        let chosen = choices.iter().find(|(word, _)| value.as_str() == Some(word));
        if chosen.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.error(key, &format!("must be one of: {}", words.join(", ")));
        }
        chosen.map(|(_, choice)| *choice)
    }

    /// The object in a field.
    pub(crate) fn section(&mut self, key: &'static str) -> Option<Section<'j, '_>> {
        let value = self.value(key)?;
        Section::open(format!("{}.{key}", self.path), value, self.report)
    }

    /// All fields, for an object whose keys are names that the application gives.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'j String, &'j Json)> + use<'j> {
        self.fields.iter()
    }

    /// Warns of fields that nobody asked for.
    pub(crate) fn warn_of_unknown(self) {
        for key in self.fields.keys().filter(|key| !self.asked.contains(&key.as_str())) {
            let similar = self.asked.iter().min_by_key(|asked| distance(asked, key));
            let hint = match similar.filter(|asked| distance(asked, key) <= 2) {
                Some(similar) => format!("unknown option, is ignored; did you mean {similar}?"),
                None => "unknown option, is ignored".to_owned(),
            };
            self.report.warning(format!("{}.{key}: {hint}", self.path));
        }
    }
}

/// A whole number that is not negative, also when it is written as 5.0.
pub(crate) fn whole(value: &Json) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..9e15).contains(number))?;
        // The range was checked just now.
        Some(number as u64)
    })
}

/// In how many letters two words differ (the edit distance, letters of either case being the same).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.to_lowercase().chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (place, other_letter) in row.iter_mut().skip(1).zip(&other) {
            let above = *place;
            left = (diagonal + usize::from(letter != *other_letter)).min(above + 1).min(left + 1);
            diagonal = above;
            *place = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_letters_that_differ() {
        assert_eq!(distance("port", "prot"), 2);
        assert_eq!(distance("host", "hosts"), 1);
        assert_eq!(distance("maxConnections", "maxconnections"), 0);
        assert_eq!(distance("", "abc"), 3);
    }
}
