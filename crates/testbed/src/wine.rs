//! Wine, for the one version of MongoDB that only comes as a build for Windows. Debian's packages are unpacked, not
//! installed, unless wine is there already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::Unpacked;
use crate::tools::{self, Missing, run};

const PACKAGE: &str = "wine64";
const LOADER: &str = "usr/lib/wine/wine64";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
/// Not among wine's own libraries, and needed by them.
const ZLIB: &str = "usr/x86_64-w64-mingw32/lib/zlib1.dll";

/// Wine below some root.
#[derive(Debug)]
pub(crate) struct Wine {
    root: PathBuf,
}

impl Wine {
    /// The system's, or Debian's packages unpacked.
    ///
    /// # Errors
    /// Where they cannot be fetched.
    pub(crate) fn get() -> Result<Self, Missing> {
        if Path::new("/").join(LOADER).exists() {
            return Ok(Self { root: "/".into() });
        }
        let root = Unpacked::get_with("wine", &[PACKAGE], |root| {
            // Debian's script looks for the server in the system, and the loader looks for the script.
            let server = root.join("usr/lib/wine/wineserver");
            fs::rename(root.join("usr/lib/wine/wineserver64"), server)
                .map_err(|e| Missing(format!("wine cannot be unpacked: {e}")))
        })?;
        Ok(Self { root: root.root().to_owned() })
    }

    /// What its scripts depend on.
    pub(crate) fn place(&self) -> String {
        self.root.display().to_string()
    }

    /// A script that runs a Windows program with arguments as on Linux: paths become those of the drive `Z:`, and
    /// what only Unix knows is left out. Wine's registry is made beside it.
    pub(crate) fn wrap(&self, program: &Path, script: &Path) -> Result<(), Missing> {
        let folder = script.parent().unwrap_or(Path::new("."));
        self.prepare(&folder.join("wine"))?;
        let program = program.file_name().unwrap_or_default().display();
        let set = self.variables();
        let text = format!(
            r#"#!/bin/bash
here=$(dirname "$(readlink -f "$0")")
arguments=()
for one in "$@"; do
    case "$one" in
        --nounixsocket) ;;
        /*) arguments+=("Z:${{one//\//\\}}") ;;
        *) arguments+=("$one") ;;
    esac
done
export WINEPREFIX="$here/wine" {set}
exec "{loader}" "$here/{program}" "${{arguments[@]}}"
"#,
            loader = self.root.join(LOADER).display(),
        );
        tools::script(script, &text)
    }

    /// No window, nothing logged, and its libraries found wherever they are.
    fn variables(&self) -> String {
        let libraries = self.root.join(LIBRARIES);
        format!(
            r#"WINEDEBUG=-all DISPLAY= WINEDLLPATH="{wine}" LD_LIBRARY_PATH="{libraries}""#,
            wine = libraries.join("wine").display(),
            libraries = libraries.display(),
        )
    }

    /// The registry and the folders of a Windows that MongoDB 7.0 accepts. What stays in the background for a moment
    /// must hold no pipe of this process.
    fn prepare(&self, prefix: &Path) -> Result<(), Missing> {
        let failed = |e: std::io::Error| Missing(format!("wine cannot be prepared: {e}"));
        let system = prefix.join("drive_c/windows/system32");
        fs::create_dir_all(&system).map_err(failed)?;
        if let Ok(zlib) = fs::read(self.root.join(ZLIB)) {
            fs::write(system.join("zlib1.dll"), zlib).map_err(failed)?;
        }
        let loader = self.root.join(LOADER);
        let (set, loader) = (self.variables(), loader.display());
        let steps = format!(
            r#"export WINEPREFIX="$1" {set}
exec >"$1/log" 2>&1
timeout 180 "{loader}" wineboot -i
timeout 60 "{loader}" winecfg -v win10"#
        );
        run(Command::new("sh").args(["-c", &steps, "sh"]).arg(prefix), "prepare wine (see its `log`)")
    }
}
