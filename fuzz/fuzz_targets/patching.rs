//! What people and hosts bring to patching, the same text as each: a calendar, a rule of recurrence, a policy, a plan, two
//! versions.
#![no_main]

use std::path::Path;

use hostler_diag::SourceMap;
use hostler_patch::policy::PolicyFile;
use hostler_schedule::{Calendar, Interval, Pattern, Zone};
use hostler_updates::{Scheme, compare};
use libfuzzer_sys::fuzz_target;

/// Ten years from 2026 on.
const SPAN: Interval = Interval {
    start_us: 1_767_225_600_000_000,
    end_us: 2_082_758_400_000_000,
};

fuzz_target!(|data: &str| {
    let zone = Zone::parse("Europe/Berlin").unwrap_or_else(|_| Zone::utc());
    if let Ok(calendar) = Calendar::parse(data, &zone) {
        for event in calendar.events(SPAN) {
            assert!(event.span.start_us < event.span.end_us, "{event:?}");
        }
    }
    let _refused = Pattern::parse_rrule(data, &zone);
    let _refused = PolicyFile::load(&SourceMap::new(), Path::new("policy.yml"), data);
    if let Ok((plan, id)) = hostler_patch::file::read(data.as_bytes()) {
        let _text = hostler_patch::text::plan(&plan, &id);
        let _forecast = hostler_patch::forecast::forecast(&plan, &id.0, SPAN.start_us);
    }
    let (a, b) = data.split_once('\n').unwrap_or((data, ""));
    for scheme in [Scheme::Deb, Scheme::Rpm, Scheme::Apk, Scheme::Pacman] {
        assert_eq!(compare(scheme, a, b), compare(scheme, b, a).reverse());
    }
});
