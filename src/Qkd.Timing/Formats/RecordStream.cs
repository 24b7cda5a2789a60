namespace Qkd.Timing.Formats;

/// <summary>Hands out a stream of bytes in whole records, through one buffer, and knows where it is.</summary>
internal sealed class RecordStream(Stream stream, int recordBytes) : IDisposable
{
    private const int BufferBytes = 1 << 18;

    private readonly byte[] _buffer = new byte[BufferBytes / recordBytes * recordBytes];
    private int _from;
    private int _to;
    private bool _ended;

    /// <summary>Bytes taken so far.</summary>
    public long Position { get; private set; }

    /// <summary>The whole records at hand; reads more if there are none. Empty at the end of the stream.</summary>
    /// <param name="leftOver">Bytes after the last whole record, at the end of the stream; else 0.</param>
    public ReadOnlySpan<byte> Peek(out int leftOver)
    {
        leftOver = 0;
        if (_to - _from < recordBytes)
        {
            Refill();
        }

        var whole = (_to - _from) / recordBytes * recordBytes;
        if (whole == 0)
        {
            leftOver = _to - _from;
        }

        return _buffer.AsSpan(_from, whole);
    }

    /// <summary>Says that so many of the bytes at hand are used.</summary>
    public void Take(int bytes)
    {
        _from += bytes;
        Position += bytes;
    }

    /// <summary>Reads exactly so many bytes of a header, before any record is peeked at.</summary>
    /// <exception cref="TagFormatException">The stream ends before.</exception>
    public void ReadHeader(Span<byte> destination)
    {
        var read = 0;
        while (read < destination.Length)
        {
            if (_from == _to)
            {
                Refill();
                if (_from == _to)
                {
                    throw new TagFormatException(Position, "the file ends within its header");
                }
            }

            var now = Math.Min(_to - _from, destination.Length - read);
            _buffer.AsSpan(_from, now).CopyTo(destination[read..]);
            Take(now);
            read += now;
        }
    }

    /// <summary>Bytes that the stream still has at most; null if it does not tell.</summary>
    public long? Remaining => stream.CanSeek ? stream.Length - stream.Position + (_to - _from) : null;

    public void Dispose() => stream.Dispose();

    private void Refill()
    {
        _buffer.AsSpan(_from, _to - _from).CopyTo(_buffer);
        (_from, _to) = (0, _to - _from);
        while (!_ended && _to < _buffer.Length)
        {
            var read = stream.Read(_buffer, _to, _buffer.Length - _to);
            _ended = read == 0;
            _to += read;
        }
    }
}
