//! The binary format of COPY: reading rows from pieces cut anywhere, and writing them.

mod reader;
mod writer;

pub use reader::{BinaryCopyReader, CopyRow};
pub use writer::{BinaryCopyWriter, RowWriter};

/// What a binary COPY begins with.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn written() -> Bytes {
        let mut writer = BinaryCopyWriter::new();
        for i in 0..5_u8 {
            let mut row = writer.row();
            row.field(&[i; 3]);
            row.null();
            row.field_with(|buffer| buffer.extend_from_slice(b""));
            row.finish().unwrap();
        }
        writer.row().finish().unwrap();
        writer.finish()
    }

    fn read(pieces: impl IntoIterator<Item = Bytes>) -> crate::Result<Vec<Vec<Option<Vec<u8>>>>> {
        let mut reader = BinaryCopyReader::new();
        let mut rows = Vec::new();
        for piece in pieces {
            reader.push(piece);
            while let Some(row) = reader.next_row()? {
                rows.push((0..row.len()).map(|index| row.get(index).map(<[u8]>::to_vec)).collect());
            }
        }
        reader.finish()?;
        Ok(rows)
    }

    #[test]
    fn rows_are_the_same_wherever_the_data_is_cut() {
        let data = written();
        let whole = read([data.clone()]).unwrap();
        assert_eq!(whole.len(), 6);
        assert_eq!(whole[4], [Some(vec![4; 3]), None, Some(vec![])]);
        assert!(whole[5].is_empty());
        for cut in 0..=data.len() {
            assert_eq!(read([data.slice(..cut), data.slice(cut..)]).unwrap(), whole, "cut at {cut}");
        }
        assert_eq!(read((0..data.len()).map(|at| data.slice(at..=at))).unwrap(), whole);
    }

    #[test]
    fn pieces_may_be_pushed_before_rows_are_taken() {
        let data = written();
        let mut reader = BinaryCopyReader::new();
        (0..data.len()).for_each(|at| reader.push(data.slice(at..=at)));
        let mut rows = 0;
        while reader.next_row().unwrap().is_some() {
            rows += 1;
        }
        assert_eq!((rows, reader.is_ended()), (6, true));
    }

    #[test]
    fn a_row_within_a_piece_is_not_copied() {
        let data = written();
        let mut reader = BinaryCopyReader::new();
        reader.push(data.clone());
        let row = reader.next_row().unwrap().unwrap();
        assert!(data.as_ptr_range().contains(&row.data().as_ptr()));
        assert_eq!(row.bytes(0).as_deref(), Some(&[0; 3][..]));
    }

    #[test]
    fn data_that_is_cut_off_or_no_copy_is_an_error() {
        let data = written();
        for end in 0..data.len() {
            assert!(read([data.slice(..end)]).is_err(), "{end}");
        }
        let after = [&data[..], b"x"].concat();
        assert!(read([Bytes::from(after)]).is_err());
        for (at, value) in [(0, b'X'), (11, 1), (15, 0xff), (19, 0x80), (21, 0xfe), (21, 0x7f)] {
            let mut damaged = data.to_vec();
            damaged[at] = value;
            assert!(read([Bytes::from(damaged)]).is_err(), "{at}");
        }
    }

    #[test]
    fn a_row_that_is_not_finished_leaves_no_trace() {
        let mut writer = BinaryCopyWriter::new();
        let length = writer.len();
        writer.row().field(b"half");
        assert_eq!(writer.len(), length);
        let mut wide = writer.row();
        (0..40_000).for_each(|_| wide.null());
        assert!(wide.finish().is_err());
        assert_eq!(writer.len(), length);
        writer.take();
        assert!(writer.is_empty());
    }
}
