"""Between a channel's rows as they are handed over and the whole numbers that files hold; see `layout`."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bot.domain.instrument import Instrument
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.differences import Ints, group_starts
from bot.storage.archive.grids import Floats, decimals, on_grids
from bot.storage.archive.layout import INSTRUMENT_TYPE, SEGMENT_COLUMN, Layout, layout_of, step_column

_STEPS = (1_000_000, 1_000, 1)
"""ns in what venues count time in."""


def to_wide(channel: Channel, table: pa.Table, instruments: Mapping[str, Instrument]) -> pa.Table:
    """Rows of a channel sorted by instrument and receive time, in whole numbers where those are exact.

    Raises:
        ValueError: If the table has not the channel's columns.
    """
    layout = layout_of(channel)
    rows = _sorted(table.select(SCHEMAS[channel].names), channel).combine_chunks()
    columns = {name: _one(rows.column(name)) for name in rows.column_names}
    codes = codes_of(columns["instrument"])
    ids = columns["instrument"].dictionary.to_pylist()
    for divisor, names in layout.divided.items():
        hints = [_hint(instruments.get(instrument), divisor) for instrument in ids]
        columns |= _divided(divisor, {name: columns[name] for name in names}, codes, hints)
    for name in layout.numbered:
        columns[name] = _numbers(columns[name])
    for name, texts in layout.listed.items():
        columns[name] = _listed(columns[name], texts)
    for name in layout.steps:
        step = pa.scalar(_step(columns[name]), pa.int64())
        columns[step_column(name)] = pa.repeat(step, len(rows))
    columns[SEGMENT_COLUMN] = pa.array(np.zeros(len(rows), np.int64))
    return pa.table(columns)


def from_wide(channel: Channel, wide: pa.Table, layout: Layout, columns: Sequence[str] | None) -> pa.Table:
    """Rows of a channel, or some of its columns, as they were handed over."""
    schema = SCHEMAS[channel]
    fields = [schema.field(name) for name in columns or schema.names]
    divisor_of = layout.divisor_of
    arrays = []
    for field in fields:
        array = _one(wide.column(field.name))
        if field.name in divisor_of:
            array = pa.array(_floats(array) / _floats(_one(wide.column(divisor_of[field.name]))))
        elif array.type != field.type:
            array = pc.cast(array, field.type)
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def codes_of(instrument: pa.DictionaryArray) -> npt.NDArray[np.int32]:
    """Index into the dictionary of every row."""
    return np.asarray(instrument.indices)


def _sorted(table: pa.Table, channel: Channel) -> pa.Table:
    schema = SCHEMAS[channel]
    instrument = _by_name(_one(table.column("instrument").combine_chunks()))
    others = table.drop_columns(["instrument"]).cast(
        pa.schema([field for field in schema if field.name != "instrument"])
    )
    table = others.add_column(0, pa.field("instrument", INSTRUMENT_TYPE, nullable=False), instrument)
    recv = np.asarray(table.column("ts_recv_ns"))
    order = row_order(codes_of(instrument), recv, np.zeros(len(recv), np.int64))
    return table if order is None else table.take(pa.array(order))


def row_order(codes: npt.NDArray[np.int32], recv: Ints, numbers: Ints) -> npt.NDArray[np.intp] | None:
    """Indexes that sort by code, then time, then number, equal ones as they are; None where everything is in order."""
    follows = (recv[1:] > recv[:-1]) | ((recv[1:] == recv[:-1]) & (numbers[1:] >= numbers[:-1]))
    if np.all((codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & follows)):
        return None
    # Rows come in order of receipt: then a radix sort by a narrow code is all there is to do.
    if np.all(follows) and codes.max() < 2**15:
        return np.argsort(codes.astype(np.int16), kind="stable")
    return np.lexsort((numbers, recv, codes))


def _by_name(instrument: pa.Array) -> pa.DictionaryArray:
    """Dictionary-encoded, the dictionary in order of its texts and without unused ones."""
    if pa.types.is_dictionary(instrument.type):
        instrument = instrument.cast(instrument.type.value_type)
    encoded = instrument.cast(pa.string()).dictionary_encode()
    order = np.asarray(pc.sort_indices(encoded.dictionary))
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    codes = rank[np.asarray(encoded.indices)]
    return pa.DictionaryArray.from_arrays(pa.array(codes), encoded.dictionary.take(pa.array(order)))


def _hint(instrument: Instrument | None, divisor: str) -> int:
    if instrument is None:
        return 0
    return decimals(instrument.tick_size if divisor == "price_divisor" else instrument.lot_size)


def _divided(
    divisor: str, columns: Mapping[str, pa.Array], codes: npt.NDArray[np.int32], hints: Sequence[int]
) -> dict[str, pa.Array]:
    starts = group_starts(codes)
    lengths = np.diff(starts, append=len(codes))
    values = [_floats(array) for array in columns.values()]
    scaled, divisors, is_whole = on_grids(values, lengths, [hints[code] for code in codes[starts]])
    kind = np.int64 if is_whole else np.float64
    numbers = {name: pa.array(number.astype(kind)) for name, number in zip(columns, scaled, strict=True)}
    return {**numbers, divisor: pa.array(divisors)}


def _numbers(texts: pa.Array) -> pa.Array:
    """Integers, if every text is one in its plainest writing; otherwise the texts."""
    try:
        numbers = texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return texts
    return numbers if numbers.cast(pa.string()).equals(texts) else texts


def _step(times: pa.Array) -> int:
    """The largest step that all of them are multiples of."""
    numbers = np.asarray(times.fill_null(0))
    return next(step for step in _STEPS if step == 1 or not np.any(numbers % step))


def _listed(texts: pa.Array, known: Sequence[str]) -> pa.DictionaryArray:
    # The same dictionary in every file, so that files can be put together.
    codes = pc.index_in(texts, value_set=pa.array(known))
    if codes.null_count:
        raise ValueError(f"a text is none of {', '.join(known)}")
    return pa.DictionaryArray.from_arrays(codes.cast(pa.int8()), pa.array(known))


def _floats(array: pa.Array) -> Floats:
    return np.asarray(array.cast(pa.float64()) if not pa.types.is_float64(array.type) else array)


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
