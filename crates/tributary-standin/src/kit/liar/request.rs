//! Parameters that are not looked at, and requests that are refused without a reason.

use axum::extract::Request;
use axum::http::Uri;

use super::super::refusal::Refusal;
use super::super::when::RetryAfter;
use super::{Board, Lie, Terms};

/// What a provider says that counts by the day.
const ALMOST_A_DAY: u32 = 85_092;

impl Board {
    /// Takes out of `request` what is not looked at; gives the answer where there is none but a refusal.
    pub fn change_request(&mut self, terms: &Terms, path: &str, request: &mut Request) -> Option<Refusal> {
        let mut parameters = parameters(request.uri());
        let mut refusal = None;
        for lie in self.lies.kinds.clone() {
            let names = match lie {
                Lie::IgnoredPage | Lie::DeadCursor | Lie::AgedCursor => terms.page,
                Lie::IgnoredWindow => terms.window,
                Lie::IgnoredSize | Lie::Capped | Lie::ShortPage => terms.size,
                Lie::LongRetryAfter | Lie::NotThere => &[],
                _ => continue,
            };
            if lie == Lie::LongRetryAfter {
                let one = self.picks(path, 2) && self.tells(lie, path);
                refusal = refusal.or(one.then_some(Refusal::RateLimited(RetryAfter::Seconds(ALMOST_A_DAY))));
                continue;
            }
            if lie == Lie::NotThere {
                let of_record = terms.record.iter().any(|start| path.starts_with(start));
                refusal =
                    refusal.or((of_record && self.tells(lie, path)).then_some(Refusal::NotFound("record")));
                continue;
            }
            let given = parameters.iter().position(|(name, _)| names.contains(&name.as_str()));
            let Some(place) = given else { continue };
            refusal = refusal.or(self.change_parameter(lie, terms, path, &mut parameters, place));
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let target = format!("{path}?{}", query.extend_pairs(parameters).finish());
        *request.uri_mut() = target.parse().unwrap_or_else(|_| request.uri().clone());
        refusal
    }

    fn change_parameter(
        &mut self,
        lie: Lie,
        terms: &Terms,
        path: &str,
        parameters: &mut Vec<(String, String)>,
        place: usize,
    ) -> Option<Refusal> {
        let (name, value) = parameters[place].clone();
        let rows: Option<usize> = value.parse().ok();
        match lie {
            Lie::IgnoredPage | Lie::IgnoredWindow | Lie::IgnoredSize => {
                let first = name == terms.page_number && value == "1";
                if !first && self.tells(lie, path) {
                    parameters.remove(place);
                }
            }
            Lie::Capped => {
                if let Some(rows) = rows.filter(|&rows| rows > 1 && self.tells(lie, path)) {
                    parameters[place].1 = (rows / 2).to_string();
                }
            }
            Lie::ShortPage => {
                // where pages are counted, the row would be in none
                let counted = parameters.iter().any(|(name, _)| name == terms.page_number);
                if let Some(rows) = rows.filter(|&rows| rows > 1 && !counted && self.tells(lie, path)) {
                    parameters[place].1 = (rows - 1).to_string();
                }
            }
            _ if name == terms.page_number => {}
            Lie::DeadCursor if self.picks(&value, 3) && self.tells(lie, path) => {
                return Some(Refusal::Server(500));
            }
            Lie::AgedCursor if self.tells(lie, path) => {
                return Some(Refusal::BadRequest { field: "cursor", message: "has expired".to_owned() });
            }
            _ => {}
        }
        None
    }
}

fn parameters(uri: &Uri) -> Vec<(String, String)> {
    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}
