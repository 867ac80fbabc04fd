//! Programs of PyPI, in the virtual environment that `tests/run` makes.

use std::path::{Path, PathBuf};

/// One of them.
pub(crate) fn python_program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin").join(name);
    assert!(
        program.exists(),
        "`{}` is missing: `tests/run` installs it from PyPI (tests/requirements.txt)",
        program.display()
    );
    program
}
