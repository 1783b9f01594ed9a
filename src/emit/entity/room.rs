//! Measures values before they are rendered.
//!
//! A small value can have a large text: the number `1e131071` is stored in 10 bytes, and 131 kB are written for it, so
//! an array of some thousand numbers has a gigabyte of text. The memory would be used before the length of the text is
//! known. So the length that the text has at least is computed from the stored value, without writing it. It is at
//! least a small part of the real length: the text of a value that fits is at most some tens of times the limit.
//!
//! Only code of Postgres itself runs here. A type that is not known here is measured by its stored size.

use std::ffi::{CStr, c_int};

use pgrx::FromDatum;
use pgrx::prelude::*;

use super::composite::Composite;
use super::jsonb::RawJsonb;
use crate::backend::attributes::attributes;

/// No value of a type of Postgres is stored in more than this many bytes for each byte of its text. The largest ratio
/// is that of `name`, which has 64 bytes, and as an empty string in an array 3 bytes of text.
const MAX_SHRINKAGE: usize = 32;

/// A path up to this size is written to be measured. It has room for some hundred numbers, so the text takes 45 MB at
/// most, and only while it is measured. A larger path counts as one whose text does not fit.
const MAX_WRITTEN_PATH: usize = 4096;

/// How values are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As `row_to_json` writes the columns of a row.
    Json,
    /// As the output function of the type does.
    Text,
}

/// The room that is left for text. Its functions return `None` if it is certain that the text does not fit.
pub struct Room {
    bytes: usize,
    form: Form,
}

impl Room {
    pub fn new(bytes: usize, form: Form) -> Self {
        Self { bytes, form }
    }

    fn take(&mut self, bytes: usize) -> Option<()> {
        self.bytes = self.bytes.checked_sub(bytes)?;
        Some(())
    }

    /// Takes the room for a value of a type of variable length.
    ///
    /// # Safety
    /// The value must be of this type.
    pub unsafe fn take_value(&mut self, value: pg_sys::Datum, of: pg_sys::Oid) -> Option<()> {
        // SAFETY: as the caller promises.
        unsafe {
            match of {
                pg_sys::TEXTOID
                | pg_sys::VARCHAROID
                | pg_sys::BPCHAROID
                | pg_sys::JSONOID
                | pg_sys::XMLOID
                | pg_sys::BYTEAOID => self.take(content_size(value)),
                pg_sys::NUMERICOID => self.take(digits(value)),
                // A number of bits, and a character for each.
                pg_sys::BITOID | pg_sys::VARBITOID => self.take(8 * content_size(value).saturating_sub(5)),
                pg_sys::JSONBOID => {
                    self.take_stored(value)?;
                    let jsonb = RawJsonb::from_polymorphic_datum(value, false, of)?;
                    let size = jsonb.size(self.bytes)?;
                    self.take(size)
                }
                pg_sys::JSONPATHOID if content_size(value) > MAX_WRITTEN_PATH => None,
                pg_sys::JSONPATHOID => {
                    let text = pgrx::direct_function_call::<&CStr>(pg_sys::jsonpath_out, &[Some(value)])?;
                    let size = text.count_bytes();
                    pg_sys::pfree(text.as_ptr().cast_mut().cast());
                    self.take(size)
                }
                _ => self.take_looked_up(value, of),
            }
        }
    }

    /// As [`Self::take_value`], for types that have to be looked up in the catalog.
    unsafe fn take_looked_up(&mut self, value: pg_sys::Datum, of: pg_sys::Oid) -> Option<()> {
        // SAFETY: as the caller promises.
        unsafe {
            let base = pg_sys::getBaseType(of);
            if base != of {
                return self.take_value(value, base);
            }
            self.take_stored(value)?;
            let element = pg_sys::get_element_type(of);
            if element != pg_sys::InvalidOid {
                return self.take_array(value, element);
            }
            match pg_sys::get_typtype(of) as u8 {
                b'c' => self.take_composite(value),
                b'r' => self.as_text(|room| room.take_range_value(value, of)),
                b'm' => self.as_text(|room| room.take_multirange(value, of)),
                _ if of == pg_sys::RECORDOID => self.take_composite(value),
                _ => self.take(content_size(value) / MAX_SHRINKAGE),
            }
        }
    }

    /// Takes nothing; decides by the stored size, before the value is decompressed, whether the text can fit.
    unsafe fn take_stored(&self, value: pg_sys::Datum) -> Option<()> {
        // SAFETY: a value of variable length.
        let size = unsafe { content_size(value) };
        (size / MAX_SHRINKAGE <= self.bytes).then_some(())
    }

    unsafe fn take_array(&mut self, value: pg_sys::Datum, element: pg_sys::Oid) -> Option<()> {
        let (mut length, mut by_value, mut align) = (0, false, 0);
        let (mut elements, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        // SAFETY: an array of elements of this type. Its dimensions follow its header.
        unsafe {
            let array = Detoasted::new(value);
            let header = array.0.cast::<pg_sys::ArrayType>();
            let dimensions = std::slice::from_raw_parts(header.add(1).cast::<i32>(), (*header).ndim as usize);
            let elements_in_all = match dimensions {
                [] => 0,
                some => some.iter().map(|length| *length as usize).product(),
            };
            // Each element has at least one character, and a comma or bracket.
            if 2 * elements_in_all > self.bytes {
                return None;
            }
            pg_sys::get_typlenbyvalalign(element, &raw mut length, &raw mut by_value, &raw mut align);
            if length != -1 {
                return self.take(2 * elements_in_all);
            }
            pg_sys::deconstruct_array(
                header,
                element,
                c_int::from(length),
                by_value,
                align,
                &raw mut elements,
                &raw mut nulls,
                &raw mut count,
            );
            let fits = (0..count as usize).try_for_each(|number| {
                self.take(1)?;
                match *nulls.add(number) {
                    true => self.take(4),
                    false => self.take_value(*elements.add(number), element),
                }
            });
            pg_sys::pfree(elements.cast());
            pg_sys::pfree(nulls.cast());
            fits
        }
    }

    unsafe fn take_composite(&mut self, value: pg_sys::Datum) -> Option<()> {
        // SAFETY: a value of a row type, and room for each of its columns.
        unsafe {
            pg_sys::check_stack_depth();
            let mut composite = Composite::new(value);
            let descriptor = composite.descriptor();
            let attributes = attributes(descriptor);
            let mut values = vec![pg_sys::Datum::null(); attributes.len()];
            let mut nulls = vec![true; attributes.len()];
            pg_sys::heap_deform_tuple(composite.tuple(), descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
            attributes.iter().zip(values.iter().zip(&nulls)).try_for_each(|(attribute, (value, is_null))| {
                if attribute.attisdropped {
                    return Some(());
                }
                self.take_name(attribute)?;
                match (is_null, attribute.attlen) {
                    (true, _) if self.form == Form::Json => self.take(4),
                    (true, _) => Some(()),
                    (false, -1) => self.take_value(*value, attribute.atttypid),
                    (false, _) => self.take(1),
                }
            })
        }
    }

    /// Takes the room for what is written between the values of a composite value.
    unsafe fn take_name(&mut self, attribute: &pg_sys::FormData_pg_attribute) -> Option<()> {
        match self.form {
            // "name":…,
            // SAFETY: a name is a C string.
            Form::Json => self.take(unsafe { CStr::from_ptr(attribute.attname.data.as_ptr()) }.count_bytes() + 4),
            Form::Text => self.take(1),
        }
    }

    unsafe fn take_range_value(&mut self, value: pg_sys::Datum, of: pg_sys::Oid) -> Option<()> {
        // SAFETY: a value of this range type.
        unsafe {
            let range_type = pg_sys::lookup_type_cache(of, pg_sys::TYPECACHE_RANGE_INFO as i32);
            let range = Detoasted::new(value);
            self.take_range(range.0.cast(), range_type)
        }
    }

    unsafe fn take_multirange(&mut self, value: pg_sys::Datum, of: pg_sys::Oid) -> Option<()> {
        // SAFETY: a value of this multirange type.
        unsafe {
            let multirange_type = pg_sys::lookup_type_cache(of, pg_sys::TYPECACHE_MULTIRANGE_INFO as i32);
            let range_type = (*multirange_type).rngtype;
            let multirange = Detoasted::new(value);
            let header = multirange.0.cast::<MultirangeHeader>();
            (0..(*header).count).try_for_each(|number| {
                let range =
                    pg_sys::ffi::pg_guard_ffi_boundary(|| multirange_get_range(range_type, header, number as c_int));
                let fits = self.take_range(range, range_type);
                pg_sys::pfree(range.cast());
                fits
            })
        }
    }

    unsafe fn take_range(
        &mut self,
        range: *const pg_sys::RangeType,
        range_type: *mut pg_sys::TypeCacheEntry,
    ) -> Option<()> {
        let (mut lower, mut upper) = (pg_sys::RangeBound::default(), pg_sys::RangeBound::default());
        let mut is_empty = false;
        // SAFETY: a range of this type; its bounds are of the type that the cache entry names.
        unsafe {
            pg_sys::range_deserialize(range_type, range, &raw mut lower, &raw mut upper, &raw mut is_empty);
            let bound_type = &*(*range_type).rngelemtype;
            // (,)
            self.take(3)?;
            [lower, upper].iter().filter(|bound| !is_empty && !bound.infinite).try_for_each(|bound| {
                match bound_type.typlen {
                    -1 => self.take_value(bound.val, bound_type.type_id),
                    _ => self.take(1),
                }
            })
        }
    }

    /// Ranges write their bounds as text also where they are part of JSON.
    fn as_text(&mut self, take: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let form = std::mem::replace(&mut self.form, Form::Text);
        let fits = take(self);
        self.form = form;
        fits
    }
}

/// Returns how many bytes a value of variable length has, decompressed and without its length word.
///
/// # Safety
/// The value must be of a type of variable length.
unsafe fn content_size(value: pg_sys::Datum) -> usize {
    // SAFETY: as the caller promises.
    unsafe { pg_sys::toast_raw_datum_size(value) }.saturating_sub(size_of::<i32>())
}

/// Returns how many characters the text of a number has at least. A number has a sign, the weight of its first group of
/// four digits, and the count of its digits after the point; all are in its first four bytes.
///
/// # Safety
/// The value must be a `numeric`.
unsafe fn digits(value: pg_sys::Datum) -> usize {
    // SAFETY: as the caller promises; what is read lies within the value.
    unsafe {
        let stored = value.cast_mut_ptr::<pg_sys::varlena>();
        let number = pg_sys::pg_detoast_datum_packed(stored);
        let content = pgrx::vardata_any(number).cast::<u16>();
        let size = pgrx::varsize_any_exhdr(number);
        let first = if size >= 2 { content.read_unaligned() } else { SHORT };
        let second = if size >= 4 { content.add(1).read_unaligned() } else { 0 };
        if number != stored {
            pg_sys::pfree(number.cast());
        }
        length_of_number(first, second)
    }
}

/// The two highest bits of a number say how it is stored.
const KIND: u16 = 0xC000;
const SHORT: u16 = 0x8000;
const SPECIAL: u16 = 0xC000;

fn length_of_number(first: u16, second: u16) -> usize {
    let (weight, scale) = match first & KIND {
        // NaN, Infinity
        SPECIAL => return 3,
        SHORT => {
            // Seven bits, with a sign.
            let weight = (first & 0x3F) as i32 - (first & 0x40) as i32;
            (weight, (first & 0x1F80) >> 7)
        }
        _ => (i32::from(second as i16), first & 0x3FFF),
    };
    let before_point = 1 + 4 * weight.max(0) as usize;
    before_point + if scale > 0 { 1 + scale as usize } else { 0 }
}

/// A value that was decompressed, or fetched from where large values are stored, if that was necessary.
struct Detoasted(*mut pg_sys::varlena, bool);

impl Detoasted {
    /// # Safety
    /// The value must be of a type of variable length.
    unsafe fn new(value: pg_sys::Datum) -> Self {
        let stored = value.cast_mut_ptr();
        // SAFETY: as the caller promises.
        let detoasted = unsafe { pg_sys::pg_detoast_datum(stored) };
        Self(detoasted, detoasted != stored)
    }
}

impl Drop for Detoasted {
    fn drop(&mut self) {
        // After an error the memory context is reset, and may be gone already.
        if self.1 && !std::thread::panicking() {
            // SAFETY: a copy that only this value has.
            unsafe { pg_sys::pfree(self.0.cast()) };
        }
    }
}

/// The beginning of a multirange.
#[repr(C)]
struct MultirangeHeader {
    length: i32,
    of: pg_sys::Oid,
    count: u32,
}

unsafe extern "C-unwind" {
    /// pgrx does not declare this function, which all supported versions of Postgres have.
    fn multirange_get_range(
        range_type: *mut pg_sys::TypeCacheEntry,
        multirange: *const MultirangeHeader,
        number: c_int,
    ) -> *mut pg_sys::RangeType;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_number_is_known_from_its_head() {
        // 0, 1 and 9999: weight 0.
        assert_eq!(length_of_number(SHORT, 0), 1);
        // 0.001: weight -1, three digits after the point.
        assert_eq!(length_of_number(SHORT | 3 << 7 | 0x7F, 0), 5);
        // 12345.60: weight 1, two digits after the point.
        assert_eq!(length_of_number(SHORT | 2 << 7 | 1, 0), 8);
        // 1e131071: weight 32767, in the long form.
        assert_eq!(length_of_number(0, 32767), 131_069);
        // -1e-16383: weight -4096.
        assert_eq!(length_of_number(0x4000 | 0x3FFF, -4096_i16 as u16), 16_385);
        // NaN
        assert_eq!(length_of_number(SPECIAL, 0), 3);
    }

    #[test]
    fn text_fits_until_the_room_is_used() {
        let mut room = Room::new(5, Form::Json);
        assert!(room.take(3).is_some() && room.take(2).is_some() && room.take(1).is_none());
    }
}
