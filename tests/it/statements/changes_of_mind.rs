//! What a bank says otherwise than before: movements that get an id of their own after all, and days that are corrected.

use tributary::store::statements::{Alarms, alarms};
use tributary_standin::bank::{Cut, Group, Line, Style, day as on};

use super::{FILE, balance, camt, day, instance, post, report, transactions, written};
use crate::support::TestApp;
use crate::support::jobs::count;

/// Status and signed minor units of each transaction, sorted.
async fn told(app: &TestApp) -> Vec<(String, i64)> {
    let rows = transactions(app).await.into_iter();
    let mut told: Vec<(String, i64)> = rows.map(|(_, status, units)| (status, units)).collect();
    told.sort();
    told
}

fn wanted(rows: &[(&str, i64)]) -> Vec<(String, i64)> {
    rows.iter().map(|(status, units)| ((*status).to_owned(), *units)).collect()
}

#[tokio::test]
async fn a_booking_that_gives_its_place_to_what_was_expected_is_still_there() {
    let app = TestApp::with_file(FILE).await;
    let expected = Cut { pending: vec![Line::new(on(0), 777)], ..day(1, 0, &[]) };
    post(&app, &report(&expected)).await;
    post(&app, &camt(&day(1, 0, &[100]))).await;
    // it is taken for what was expected the day before
    let mut booked = day(2, 100, &[777]);
    booked.lines[0].text = "the rent".to_owned();
    post(&app, &camt(&booked)).await;
    assert_eq!(told(&app).await, wanted(&[("SUCCEEDED", 100), ("SUCCEEDED", 777)]));
    // until a report has it on its own day; whoever reads that knows of the rest by the database alone
    let other = instance(&app, FILE);
    post(&other, &report(&day(2, 0, &[777]))).await;
    assert_eq!(told(&app).await, wanted(&[("CANCELLED", 777), ("SUCCEEDED", 100), ("SUCCEEDED", 777)]));
    assert_eq!(balance(&app).await, Some(877));
    let text = "select count(*) from transactions where amount = 777 and status = 'SUCCEEDED'
                and metadata ->> 'remittanceInformation' = 'the rent' and created_at::text like '2026-03-02 23:00%'";
    assert_eq!(count(&app.pool, text).await, 1, "with all that its statement says of it");
}

#[tokio::test]
async fn a_booking_of_an_erased_statement_keeps_its_amount_and_day() {
    let app = TestApp::with_file(FILE).await;
    let expected = Cut { pending: vec![Line::new(on(0), 777)], ..day(1, 0, &[]) };
    post(&app, &report(&expected)).await;
    post(&app, &camt(&day(2, 0, &[777]))).await;
    app.sql("update statement_files set bytes = null, key_id = null").await;
    post(&app, &report(&day(2, 0, &[777]))).await;
    let booked = "select count(*) from transactions where amount = 777 and status = 'SUCCEEDED'
                  and destination_account_id = 'main' and created_at::text like '2026-03-02 23:00%'";
    assert_eq!(count(&app.pool, booked).await, 1);
}

#[tokio::test]
async fn a_day_that_is_corrected_has_its_new_balances_alone() {
    let bai2 = |group: Group, units: &[i128]| {
        written(Style::Bai2(group), &Cut { number: None, ..day(1, 5_000, units) })
    };
    let (update, correction) = (bai2(Group::Final, &[100, 31_337]), bai2(Group::Correction, &[100]));
    let next = written(Style::Bai2(Group::Final), &Cut { number: None, ..day(2, 5_100, &[250]) });
    for order in [[&update, &correction, &next], [&correction, &next, &update]] {
        let app = TestApp::with_file(FILE).await;
        for text in order {
            post(&app, text).await;
        }
        let rows = [("CANCELLED", 31_337), ("SUCCEEDED", 100), ("SUCCEEDED", 250)];
        assert_eq!(told(&app).await, wanted(&rows));
        assert_eq!(balance(&app).await, Some(5_350));
        assert_eq!(alarms(&app.pool, app.name()).await.unwrap(), Alarms::default());
    }
}

/// A page of statement 7 of `year`, between these balances in euro.
fn page(
    year: u32,
    number: &str,
    (opens, from): (char, u32),
    entry: u32,
    (closes, to): (char, u32),
) -> String {
    format!(
        ":20:A\n:25:DE1\n:28C:7/{number}\n:60{opens}:C{year}0302EUR{from},\n\
         :61:{year}0302{}CR{entry},NTRFNONREF\n:62{closes}:C{year}0302EUR{to},\n-\n",
        "0302"
    )
}

#[tokio::test]
async fn a_page_that_comes_again_waits_for_nothing() {
    let (first, last) = (page(26, "1", ('F', 0), 1, ('M', 1)), page(26, "2", ('M', 1), 2, ('F', 3)));
    let again = format!("{first}\n");
    let both = format!("{first}{last}");
    for order in
        [[&first, &again, &last], [&first, &last, &again], [&again, &last, &first], [&again, &both, &first]]
    {
        let app = TestApp::with_file(FILE).await;
        for text in order {
            post(&app, text).await;
        }
        assert_eq!(told(&app).await, wanted(&[("SUCCEEDED", 100), ("SUCCEEDED", 200)]));
        assert_eq!(count(&app.pool, "select count(*) from statements where state = 'waiting'").await, 0);
        assert_eq!(alarms(&app.pool, app.name()).await.unwrap(), Alarms::default());
    }
}

#[tokio::test]
async fn pages_of_one_number_in_two_years_wait_for_their_own() {
    let pages = |year, from| {
        [
            page(year, "1", ('F', from), 1, ('M', from + 1)),
            page(year, "2", ('M', from + 1), 2, ('F', from + 3)),
        ]
    };
    let ([first, last], [next_first, next_last]) = (pages(26, 0), pages(27, 3));
    let app = TestApp::with_file(FILE).await;
    for text in [&first, &next_first, &next_last, &last] {
        post(&app, text).await;
    }
    let rows = [100, 100, 200, 200].map(|units| ("SUCCEEDED", units));
    assert_eq!(told(&app).await, wanted(&rows));
    assert_eq!(count(&app.pool, "select count(*) from statements where state = 'waiting'").await, 0);
}

#[tokio::test]
async fn pages_of_a_newer_statement_are_not_taken_for_parts_of_an_older_one() {
    let at = |cut: Cut, hour: u32| Cut { created: on(0).and_hms_opt(hour, 0, 0), ..cut };
    let older = camt(&at(day(1, 0, &[100, 250, 31_337]), 1));
    let newer: Vec<String> = at(day(1, 0, &[100, 250]), 2).pages(2).iter().map(camt).collect();
    let app = TestApp::with_file(FILE).await;
    for text in [&older, &newer[0], &newer[1]] {
        post(&app, text).await;
    }
    let rows = [("CANCELLED", 31_337), ("SUCCEEDED", 100), ("SUCCEEDED", 250)];
    assert_eq!(told(&app).await, wanted(&rows));
    assert_eq!(count(&app.pool, "select count(*) from statements where state = 'waiting'").await, 0);
}
