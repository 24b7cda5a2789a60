namespace Qkd.Timing.Formats;

/// <summary>
/// What all readers of fixed records share: a fault is told only after what came before it has been handed out, and a partial record at the end is
/// a fault.
/// </summary>
/// <param name="records">The file, its header read.</param>
/// <param name="recordBytes">Bytes a record.</param>
internal abstract class RecordReader(RecordStream records, int recordBytes) : TagReader
{
    private TagFormatException? _fault;

    /// <inheritdoc/>
    public override long Position => records.Position;

    /// <summary>Bytes a record.</summary>
    protected int RecordBytes => recordBytes;

    /// <inheritdoc/>
    protected override bool Fill(TagBuffer buffer)
    {
        while (_fault is null && buffer.Capacity - buffer.Count >= EventsARecord)
        {
            var bytes = records.Peek(out var leftOver);
            if (bytes.Length == 0)
            {
                _fault = leftOver > 0
                    ? new(records.Position, $"the file ends within a record of {recordBytes} bytes, of which {leftOver} are there")
                    : CheckEnd();
                break;
            }

            var used = Decode(bytes, buffer, out var problem);
            records.Take(used * recordBytes);
            Counts.Records += used;
            if (problem is not null)
            {
                _fault = new(records.Position, problem);
            }

            if (used == 0 && _fault is null)
            {
                break;
            }
        }

        if (buffer.Count == 0 && _fault is not null)
        {
            throw _fault;
        }

        return buffer.Count > 0;
    }

    /// <summary>Events that a single record may give.</summary>
    protected virtual int EventsARecord => 1;

    /// <summary>Decodes records into a buffer until either is used up. Events ascend in time: a record that runs back is a problem.</summary>
    /// <param name="bytes">Whole records.</param>
    /// <param name="buffer">Receives the events after those it has.</param>
    /// <param name="problem">What is wrong with the record after those used; null if nothing is.</param>
    /// <returns>Records used.</returns>
    protected abstract int Decode(ReadOnlySpan<byte> bytes, TagBuffer buffer, out string? problem);

    /// <summary>What is wrong with a file that ends here; null if nothing is.</summary>
    protected virtual TagFormatException? CheckEnd() => null;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            records.Dispose();
        }
    }
}
