//! Checks a file's bytes before the dynamic linker sees them: a truncated library kills the process inside
//! `dlopen` (SIGBUS), and one for another machine is reported there as "no such file".

use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, FileKind};

use crate::error::{LoadErrorKind, Refusal};

const REBUILD: &str =
    "build the plugin again, as a library (`crate-type = [\"cdylib\"]`) for this machine";
const COPY: &str = "the file is damaged or was copied only in part: copy or build it again";

#[cfg(target_arch = "x86_64")]
const MACHINE: (object::elf::Machine, &str) = (elf::EM_X86_64, "x86_64");
#[cfg(target_arch = "aarch64")]
const MACHINE: (object::elf::Machine, &str) = (elf::EM_AARCH64, "aarch64");

/// A checked library.
pub(crate) struct Elf<'a> {
    header: &'a FileHeader64<Endianness>,
    endian: Endianness,
    bytes: &'a [u8],
}

fn refuse(reason: impl Into<String>, hint: &str) -> Refusal {
    Refusal::new(LoadErrorKind::NotALibrary, reason, hint)
}

fn damaged(what: &str) -> Refusal {
    refuse(format!("the file is cut short or damaged: {what}"), COPY)
}

impl<'a> Elf<'a> {
    /// Checks class, machine, kind, and that every part that the headers name is inside the file.
    pub(crate) fn check(bytes: &'a [u8]) -> Result<Self, Refusal> {
        match FileKind::parse(bytes) {
            Ok(FileKind::Elf64) => {}
            Ok(FileKind::Elf32) => {
                return Err(refuse("the library is for a 32-bit machine", REBUILD));
            }
            _ => return Err(refuse("the file is not an ELF library", REBUILD)),
        }
        let header = FileHeader64::<Endianness>::parse(bytes)
            .map_err(|_| damaged("its header is not whole"))?;
        let endian = header
            .endian()
            .map_err(|_| damaged("its byte order is not known"))?;
        let checked = Self {
            header,
            endian,
            bytes,
        };
        checked.check_machine()?;
        checked.check_extent()?;
        checked.check_dynamic()?;
        Ok(checked)
    }

    fn check_machine(&self) -> Result<(), Refusal> {
        let machine = self.header.e_machine(self.endian);
        if machine != MACHINE.0 {
            let name = match machine {
                elf::EM_X86_64 => "x86_64".to_owned(),
                elf::EM_AARCH64 => "aarch64".to_owned(),
                other => format!("machine type {other:?}"),
            };
            return Err(refuse(
                format!("the library is for {name}, this host is {}", MACHINE.1),
                REBUILD,
            ));
        }
        if self.header.e_type(self.endian) != elf::ET_DYN {
            return Err(refuse(
                "the file is a program or an object, not a library",
                REBUILD,
            ));
        }
        Ok(())
    }

    /// Every segment and section that takes up room in the file must be in it.
    fn check_extent(&self) -> Result<(), Refusal> {
        let len = self.bytes.len() as u64;
        let inside =
            |offset: u64, size: u64| offset.checked_add(size).is_some_and(|end| end <= len);
        let segments = self.header.program_headers(self.endian, self.bytes);
        for segment in segments.map_err(|_| damaged("its segments are not in it"))? {
            if !inside(segment.p_offset(self.endian), segment.p_filesz(self.endian)) {
                return Err(damaged("a segment ends after the file does"));
            }
        }
        let sections = self.header.section_headers(self.endian, self.bytes);
        for section in sections.map_err(|_| damaged("its sections are not in it"))? {
            let empty = section.sh_type(self.endian) == elf::SHT_NOBITS;
            if !empty && !inside(section.sh_offset(self.endian), section.sh_size(self.endian)) {
                return Err(damaged("a section ends after the file does"));
            }
        }
        Ok(())
    }

    /// No program in disguise (position-independent executables are libraries by their type), and no static
    /// thread-local storage, of which the process has room for only a few copies.
    fn check_dynamic(&self) -> Result<(), Refusal> {
        let segments = self
            .header
            .program_headers(self.endian, self.bytes)
            .unwrap_or_default();
        let mut dynamic = false;
        for segment in segments {
            if segment.p_type(self.endian) == elf::PT_INTERP {
                return Err(refuse("the file is a program, not a library", REBUILD));
            }
            let Ok(Some(entries)) = segment.dynamic(self.endian, self.bytes) else {
                continue;
            };
            dynamic = true;
            for entry in entries {
                let value = entry.d_val(self.endian);
                match entry.d_tag(self.endian) {
                    elf::DT_FLAGS_1 if value & elf::DF_1_PIE.0 != 0 => {
                        return Err(refuse("the file is a program, not a library", REBUILD));
                    }
                    elf::DT_FLAGS if value & elf::DF_STATIC_TLS.0 != 0 => {
                        let hint = "build its allocator or C library without initial-exec thread-local storage \
                                    (mimalloc: feature `local_dynamic_tls`)";
                        return Err(refuse("the library uses static thread-local storage", hint));
                    }
                    _ => {}
                }
            }
        }
        if dynamic {
            Ok(())
        } else {
            Err(refuse("the library has no dynamic section", REBUILD))
        }
    }

    /// What was found, for the operator.
    pub(crate) fn summary(&self) -> String {
        format!("a whole library for {}", MACHINE.1)
    }

    /// The bytes of a section.
    pub(crate) fn section(&self, name: &str) -> Option<&'a [u8]> {
        let sections = self.header.sections(self.endian, self.bytes).ok()?;
        let (_, section) = sections.section_by_name(self.endian, name.as_bytes())?;
        section.data(self.endian, self.bytes).ok()
    }
}
