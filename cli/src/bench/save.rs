// SPDX-License-Identifier: Apache-2.0
//! The files of a run. What was measured is never lost: where its folder cannot be written any more, it goes elsewhere.

use crate::exit::{Ended, Exit};
use std::io::{self, Write as _};
use std::path::Path;
use storescope_instrument::{Run, report};

/// What the page is called in a run's folder.
const PAGE: &str = "report.html";

/// Makes the folder, and sees whether it can be written, before anything is measured.
pub(super) fn check(out: &Path) -> Ended {
    let refused =
        |error: io::Error| Exit::usage(format!("cannot write {} (--out): {error}", out.display()));
    if is_page(out) && out.is_dir() {
        return Err(refused(io::ErrorKind::IsADirectory.into()));
    }
    let folder = if is_page(out) { beside(out) } else { out };
    std::fs::create_dir_all(folder).map_err(refused)?;
    tempfile::tempfile_in(folder).map(drop).map_err(refused)
}

/// Whether a page alone is asked for, and no folder. A page holds its run, too.
pub(super) fn is_page(out: &Path) -> bool {
    out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("html"))
}

/// Writes a run and its page; where that fails, the run into a temporary folder, or else to standard output.
pub(super) fn write(run: &Run, out: &Path) -> Ended {
    if is_page(out) {
        return write_page(run, out).or_else(|error| elsewhere(run, &error));
    }
    write_run(run, out)?;
    let page = out.join(PAGE);
    write_page(run, &page).map_err(|error| {
        Exit::failed(format!("{error}; the run is in {} all the same", out.display()))
    })
}

/// The same without its page: a part of what several processes measure.
pub(super) fn write_run(run: &Run, folder: &Path) -> Ended {
    run.write(folder).or_else(|error| elsewhere(run, &error.to_string()))
}

/// Written beside its name and then moved there.
fn write_page(run: &Run, file: &Path) -> Result<(), String> {
    let page = report::page(std::slice::from_ref(run), None);
    let written = || {
        let mut part = tempfile::Builder::new();
        part.prefix(".storescope-").suffix(".part");
        // As any other file: not for its owner alone.
        let mut part = part.make_in(beside(file), |path| std::fs::File::create_new(path))?;
        part.write_all(page.as_bytes())?;
        part.persist(file).map(drop).map_err(|error| error.error)
    };
    written().map_err(|error: io::Error| format!("cannot write {}: {error}", file.display()))
}

/// The folder of a file.
fn beside(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Keeps what could not be written where it was wanted.
fn elsewhere(run: &Run, error: &str) -> Ended {
    let elsewhere = tempfile::Builder::new().prefix("storescope-bench-").tempdir();
    if let Ok(elsewhere) = elsewhere
        && run.write(elsewhere.path()).is_ok()
    {
        let kept = elsewhere.keep();
        return Err(Exit::failed(format!("{error}; the run is in {}", kept.display())));
    }
    println!("{}", crate::escape::json_lines(&run.to_json()));
    Err(Exit::failed(format!(
        "{error}; nor could a temporary folder be written: the run is on standard output"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_is_told_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let told = check(&file).unwrap_err();
        assert!(told.message().contains("(--out)"), "{}", told.message());
        check(&folder.path().join("a/b")).unwrap();
        check(&folder.path().join("c/d.html")).unwrap();
        assert!(folder.path().join("c").is_dir() && !folder.path().join("c/d.html").exists());
        std::fs::create_dir(folder.path().join("e.html")).unwrap();
        assert!(check(&folder.path().join("e.html")).unwrap_err().message().contains("(--out)"));
    }
}
