using System.Buffers.Binary;
using System.Security.Cryptography;
using Qkd.Timing.Formats;

namespace Qkd.Timing.Recording;

/// <summary>
/// Reads the recording of a session entry by entry. Nothing is handed out that was not found as it was sealed; of a file that was cut off or altered everything
/// before that place is. One thread.
/// </summary>
public sealed class SessionRecordingReader : IDisposable
{
    private readonly Stream _stream;
    private readonly RecordingSeal _seal;
    private readonly byte[] _content = GC.AllocateArray<byte>(RecordingSeal.LargestChunk, pinned: true);
    private readonly byte[] _sealed = new byte[RecordingSeal.LargestChunk + RecordingSeal.TagBytes];
    private int _length;
    private int _used;
    private ulong _number;
    private long _chunkStart;
    private bool _final;
    private bool _trailing;
    private TagFormatException? _fault;

    /// <summary>Opens a recording.</summary>
    /// <param name="stream">The file at its start. Owned.</param>
    /// <param name="key">The recording key, 32 bytes. Copied.</param>
    /// <exception cref="ArgumentException">The key has another length.</exception>
    /// <exception cref="TagFormatException">Not a recording, or one that was sealed with another key.</exception>
    public SessionRecordingReader(Stream stream, ReadOnlySpan<byte> key)
    {
        ArgumentNullException.ThrowIfNull(stream);
        Span<byte> header = stackalloc byte[RecordingSeal.HeaderBytes];
        var read = stream.ReadAtLeast(header, header.Length, throwOnEndOfStream: false);
        if (read < header.Length)
        {
            throw new TagFormatException(read, $"the file ends within the header of {header.Length} bytes");
        }

        _seal = RecordingSeal.Open(key, header);
        _stream = stream;
        Position = _chunkStart = header.Length;
    }

    /// <summary>Bytes of the file read so far, the header's included.</summary>
    public long Position { get; private set; }

    /// <summary>Where in the file the chunk begins that the last entry came from.</summary>
    public long ChunkPosition => _chunkStart;

    /// <summary>The next entry; null at the sound end of the recording.</summary>
    /// <exception cref="TagFormatException">
    /// The recording was cut off, altered or is damaged from here on; the offset is that of the first chunk that cannot be used. Thrown again by every further call.
    /// </exception>
    public RecordingEntry? Read()
    {
        if (_fault is not null)
        {
            throw _fault;
        }

        try
        {
            return Next();
        }
        catch (TagFormatException e)
        {
            _fault = e;
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_content);
        _seal.Dispose();
        _stream.Dispose();
    }

    private RecordingEntry? Next()
    {
        while (_used == _length)
        {
            if (_final)
            {
                return null;
            }

            OpenChunk();
        }

        Span<byte> header = stackalloc byte[SessionRecordingWriter.EntryHeaderBytes];
        Take(header);
        var kind = header[0];
        var length = BinaryPrimitives.ReadUInt32LittleEndian(header[1..]);
        if (length > SessionRecordingWriter.LargestEntry)
        {
            throw new TagFormatException(_chunkStart, $"an entry claims {length} bytes, more than any can have");
        }

        return RecordingEntry.Read((RecordingEntryKind)kind, TakeContent((int)length), _chunkStart);
    }

    /// <summary>The content of an entry. Memory grows with what is really there, not with what is claimed.</summary>
    private byte[] TakeContent(int length)
    {
        var content = new byte[Math.Min(length, RecordingSeal.LargestChunk)];
        for (var have = 0; ;)
        {
            Take(content.AsSpan(have));
            have = content.Length;
            if (have == length)
            {
                return content;
            }

            Array.Resize(ref content, (int)Math.Min(length, 2L * have));
        }
    }

    private void Take(Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            if (_used == _length)
            {
                if (_final)
                {
                    throw new TagFormatException(_chunkStart, "the recording ends within an entry");
                }

                OpenChunk();
            }

            var take = Math.Min(destination.Length, _length - _used);
            _content.AsSpan(_used, take).CopyTo(destination);
            _used += take;
            destination = destination[take..];
        }
    }

    private void OpenChunk()
    {
        if (_trailing)
        {
            throw new TagFormatException(Position - 1, "bytes follow the end of the recording");
        }

        _chunkStart = Position;
        Span<byte> first = stackalloc byte[RecordingSeal.WordBytes];
        var read = Fill(first);
        if (read < first.Length)
        {
            throw CutOff(read == 0 ? "the recording has no end: it was cut off here" : "the recording was cut off here");
        }

        var word = BinaryPrimitives.ReadUInt32LittleEndian(first);
        var length = word & ~RecordingSeal.FinalFlag;
        if (length > RecordingSeal.LargestChunk)
        {
            throw Altered();
        }

        var body = _sealed.AsSpan(0, (int)length + RecordingSeal.TagBytes);
        if (Fill(body) < body.Length)
        {
            throw CutOff("the recording was cut off here");
        }

        if (!_seal.TryOpen(_number, word, body[..(int)length], body[(int)length..], _content.AsSpan(0, (int)length)))
        {
            throw Altered();
        }

        (_number, _length, _used, _final) = (_number + 1, (int)length, 0, (word & RecordingSeal.FinalFlag) != 0);
        if (_final && Fill(first[..1]) > 0)
        {
            // What the last chunk holds is sound, and is handed out first.
            (_final, _trailing) = (false, true);
        }
    }

    private int Fill(Span<byte> destination)
    {
        var read = _stream.ReadAtLeast(destination, destination.Length, throwOnEndOfStream: false);
        Position += read;
        return read;
    }

    private TagFormatException CutOff(string problem) => new(_chunkStart, problem);

    private TagFormatException Altered() => new(_chunkStart, "the recording was altered or is damaged here");
}
