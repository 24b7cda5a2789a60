using System.Buffers.Binary;

namespace Qkd.Timing.Formats;

/// <summary>
/// Reads the timestamps that ID Quantique's data link saves: one input, a u64 of picoseconds each, or two u64 with the index of the reference edge that it is
/// counted from. An acquisition that begins anew within the file counts on from where the last one ended, as if no time had passed.
/// </summary>
/// <remarks>
/// With a reference the file says which edge a time belongs to and not how far apart edges are: the events then have the edge's number as their time and the picoseconds
/// after it as their delay, like T3, and the tick is the period of the reference, if the caller knows it.
/// </remarks>
internal sealed class IdQuantiqueReader : RecordReader
{
    private const long LatestTime = 1L << 61;

    private readonly bool _referenced;
    private long _base;
    private long _last;
    private long _lastDelay;

    public IdQuantiqueReader(Stream stream, bool referenced, double? referencePeriodPicoseconds)
        : base(new RecordStream(stream, referenced ? 16 : 8), referenced ? 16 : 8)
    {
        _referenced = referenced;
        Info = new TagStreamInfo
        {
            Format = (referenced ? TagFormat.IdqReferenced : TagFormat.Idq).Name(),
            RecordType = referenced ? "ID Quantique timestamps with reference index" : "ID Quantique timestamps",
            TickPicoseconds = referenced ? referencePeriodPicoseconds ?? double.NaN : 1,
            HasDelays = referenced,
            DelayTickPicoseconds = referenced ? 1 : 0,
        };
    }

    /// <inheritdoc/>
    public override TagStreamInfo Info { get; }

    /// <inheritdoc/>
    protected override int Decode(ReadOnlySpan<byte> bytes, TagBuffer buffer, out string? problem)
    {
        problem = null;
        var used = 0;
        for (; used * RecordBytes < bytes.Length && buffer.Count < buffer.Capacity; used++)
        {
            var record = bytes.Slice(used * RecordBytes, RecordBytes);
            var stamp = BinaryPrimitives.ReadUInt64LittleEndian(record);
            var count = _referenced ? BinaryPrimitives.ReadUInt64LittleEndian(record[8..]) : stamp;
            if (count > LatestTime || _base > LatestTime)
            {
                problem = _referenced ? $"reference index {count} cannot be" : $"{count} ps is more time than any measurement lasts";
                return used;
            }

            if (_referenced && stamp > uint.MaxValue)
            {
                problem = $"{stamp} ps after the reference edge is more than the 4.29 ms that can be held";
                return used;
            }

            var time = _base + (long)count;
            var delay = _referenced ? (long)stamp : 0;
            if (time < _last || (_referenced && time == _last && delay < _lastDelay))
            {
                Counts.Restarts++;
                _base = _last;
                time = _base + (long)count;
            }

            (_last, _lastDelay) = (time, delay);
            buffer.Add(time, 1, (uint)delay);
        }

        return used;
    }
}
