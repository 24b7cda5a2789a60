using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Qkd.Timing.Recording;

/// <summary>
/// Writes the recording of a session: entries one after another, sealed in chunks as they come. What has been flushed can be read back even if nothing more
/// ever follows. One thread.
/// </summary>
/// <remarks>
/// After the header (see <see cref="RecordingSeal"/>) chunks follow: <c>u32 length, highest bit set in the last one; sealed content; tag (16 bytes)</c>. Their
/// contents, put together, are entries: <c>u8 kind; u32 length; content</c>, little-endian. An entry may go through many chunks.
/// </remarks>
public sealed class SessionRecordingWriter : IDisposable
{
    /// <summary>Length of a recording key in bytes.</summary>
    public const int KeyBytes = RecordingSeal.KeyBytes;

    /// <summary>Most bytes that the content of one entry may have.</summary>
    public const int LargestEntry = 1 << 28;

    /// <summary>Bytes before the content of an entry.</summary>
    internal const int EntryHeaderBytes = 5;

    private readonly Stream _stream;
    private readonly RecordingSeal _seal;
    private readonly byte[] _content = GC.AllocateArray<byte>(RecordingSeal.LargestChunk, pinned: true);
    private readonly byte[] _chunk = new byte[RecordingSeal.WordBytes + RecordingSeal.LargestChunk + RecordingSeal.TagBytes];
    private int _used;
    private ulong _number;
    private bool _completed;

    /// <summary>Begins a recording and writes its header.</summary>
    /// <param name="stream">Where it goes, from here on. Not owned, and never sought in.</param>
    /// <param name="key">The recording key, 32 bytes. Copied.</param>
    /// <exception cref="ArgumentException">The key has another length.</exception>
    /// <exception cref="IOException">The stream cannot be written.</exception>
    public SessionRecordingWriter(Stream stream, ReadOnlySpan<byte> key)
    {
        ArgumentNullException.ThrowIfNull(stream);
        Span<byte> header = stackalloc byte[RecordingSeal.HeaderBytes];
        _seal = RecordingSeal.Create(key, header);
        _stream = stream;
        stream.Write(header);
        Length = header.Length;
    }

    /// <summary>Bytes written to the stream so far.</summary>
    public long Length { get; private set; }

    /// <summary>Appends an entry.</summary>
    /// <exception cref="ArgumentException">The entry is larger than <see cref="LargestEntry"/>.</exception>
    /// <exception cref="IOException">The stream cannot be written: nothing more can be.</exception>
    public void Write(RecordingEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        var content = new ArrayBufferWriter<byte>();
        entry.WriteTo(content);
        Write(entry.Kind, content.WrittenSpan);
        CryptographicOperations.ZeroMemory(System.Runtime.InteropServices.MemoryMarshal.AsMemory(content.WrittenMemory).Span);
    }

    /// <summary>Appends an entry whose content was written before, by <see cref="RecordingEntry.WriteTo"/>.</summary>
    /// <inheritdoc cref="Write(RecordingEntry)"/>
    public void Write(RecordingEntryKind kind, ReadOnlySpan<byte> content)
    {
        if (content.Length > LargestEntry)
        {
            throw new ArgumentException($"An entry of {content.Length} bytes is larger than the {LargestEntry} allowed.", nameof(content));
        }

        Span<byte> header = stackalloc byte[EntryHeaderBytes];
        header[0] = (byte)kind;
        BinaryPrimitives.WriteInt32LittleEndian(header[1..], content.Length);
        Append(header);
        Append(content);
    }

    /// <summary>Seals and writes what has been appended.</summary>
    /// <exception cref="IOException">The stream cannot be written: nothing more can be.</exception>
    public void Flush()
    {
        if (_used > 0)
        {
            SealChunk(final: false);
        }

        _stream.Flush();
    }

    /// <summary>Writes the last chunk: it tells that nothing was cut off. Nothing can be written afterwards.</summary>
    /// <exception cref="IOException">The stream cannot be written.</exception>
    public void Complete()
    {
        if (!_completed)
        {
            SealChunk(final: true);
            _completed = true;
            _stream.Flush();
        }
    }

    /// <summary>Erases what was not written. A recording that was not completed stays readable to where it was flushed.</summary>
    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_content);
        _seal.Dispose();
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        ObjectDisposedException.ThrowIf(_completed, this);
        while (!bytes.IsEmpty)
        {
            var fits = Math.Min(bytes.Length, _content.Length - _used);
            bytes[..fits].CopyTo(_content.AsSpan(_used));
            _used += fits;
            bytes = bytes[fits..];
            if (_used == _content.Length)
            {
                SealChunk(final: false);
            }
        }
    }

    private void SealChunk(bool final)
    {
        var word = (uint)_used | (final ? RecordingSeal.FinalFlag : 0);
        BinaryPrimitives.WriteUInt32LittleEndian(_chunk, word);
        var body = _chunk.AsSpan(RecordingSeal.WordBytes);
        _seal.Seal(_number++, word, _content.AsSpan(0, _used), body[.._used], body.Slice(_used, RecordingSeal.TagBytes));
        var length = RecordingSeal.WordBytes + _used + RecordingSeal.TagBytes;
        CryptographicOperations.ZeroMemory(_content.AsSpan(0, _used));
        _used = 0;
        _stream.Write(_chunk.AsSpan(0, length));
        Length += length;
    }
}
