using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using Qkd.Distillation;
using Qkd.Keys.Authentication;

namespace Qkd.Keys;

/// <summary>One-time key for a tag, handed out once. Erased on dispose; never printed.</summary>
/// <param name="Segment">The piece of authentication key it is from.</param>
/// <param name="Offset">Byte offset within the segment and direction.</param>
/// <param name="Bytes">The key.</param>
public sealed record Pad(long Segment, long Offset, byte[] Bytes) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => CryptographicOperations.ZeroMemory(Bytes);

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"pad {Segment}:{Offset} ({Bytes.Length} bytes)");
}

/// <summary>How much authentication key is left.</summary>
public sealed record AuthenticationPoolStatus
{
    /// <summary>Bits of the pre-shared key that this end can still send with.</summary>
    public required long PreSharedSendBits { get; init; }

    /// <summary>Bits of the pre-shared key that the peer can still send with.</summary>
    public required long PreSharedReceiveBits { get; init; }

    /// <summary>Bits that distilled segments add for this end's sending.</summary>
    public required long FedSendBits { get; init; }

    /// <summary>Bits that distilled segments add for the peer's sending.</summary>
    public required long FedReceiveBits { get; init; }

    /// <summary>Bits of a next block that should go into authentication: 0 while the pool is above its level, else a multiple of 512.</summary>
    public required int WantedBits { get; init; }

    /// <summary>
    /// Whether in one direction less is left, distilled segments included, than a quarter of what the pre-shared key was: a person should
    /// know, and sessions that fail should be few.
    /// </summary>
    public required bool IsLow { get; init; }
}

/// <summary>
/// The key for the tags of the classical channel, at one end. It begins with the pre-shared key (segment 0) and grows by segments that both
/// ends take from confirmed blocks. Each segment has one half for each direction of messages. The distilled segments are used first, so that
/// the pre-shared key is there when nothing else is. Thread-safe.
/// </summary>
/// <remarks>
/// A position is durable before the bytes in front of it are handed out and never goes back; used key is overwritten in memory and in the
/// file, as far as the file system overwrites in place. A segment is used for sending only once the peer is known to hold it; a message from
/// the peer that uses a segment proves that he does.
/// </remarks>
public sealed class AuthenticationPool : IDisposable
{
    /// <summary>Segment id of the pre-shared key.</summary>
    public const long PreSharedSegment = 0;

    /// <summary>Name of the pre-shared key's file in the pool's folder.</summary>
    public const string PreSharedName = "preshared.key";

    /// <summary>Smallest pre-shared key, in bits.</summary>
    public const int MinimumPreSharedBits = 65_536;

    /// <summary>What <c>qkd init</c> makes, in bits: enough for a thousand reconnections without a single distilled segment.</summary>
    public const int DefaultPreSharedBits = 1_048_576;

    private const string SegmentsName = "segments";
    private const int IdentityLength = 16;
    private const int EntryLength = 24;

    /// <summary>A direction with less than one tag's key left is used up, in bytes.</summary>
    private const int SmallestPad = 32;

    private readonly Lock _gate = new();
    private readonly SortedDictionary<long, SegmentFile> _segments = [];
    private readonly HashSet<long> _aside = [];
    private readonly HashSet<(long Segment, long Offset)> _forfeited = [];
    private readonly List<string> _damaged = [];
    private readonly string _folder;
    private readonly int _levelBits;
    private HashSet<long> _described = [];
    private bool _begun;
    private bool _agreed;
    private bool _preferPreShared;

    private AuthenticationPool(string folder, LinkEnd end, int levelBits) => (_folder, End, _levelBits) = (folder, end, levelBits);

    /// <summary>Whose pool this is.</summary>
    public LinkEnd End { get; }

    /// <summary>How much is left.</summary>
    public AuthenticationPoolStatus Status
    {
        get
        {
            lock (_gate)
            {
                var preShared = _segments[PreSharedSegment];
                var fed = _segments.Values.Where(segment => segment.Id != PreSharedSegment && !_aside.Contains(segment.Id)).ToList();
                var send = 8 * fed.Sum(segment => segment.Remaining(End));
                var receive = 8 * fed.Sum(segment => segment.Remaining(PeerEnd));
                var lacking = Math.Max(0, _levelBits - (2 * Math.Min(send, receive)));
                var sendable = (8 * preShared.Remaining(End)) + (8 * fed.Where(segment => segment.Confirmed).Sum(segment => segment.Remaining(End)));
                return new()
                {
                    PreSharedSendBits = 8 * preShared.Remaining(End),
                    PreSharedReceiveBits = 8 * preShared.Remaining(PeerEnd),
                    FedSendBits = send,
                    FedReceiveBits = receive,
                    WantedBits = (int)((lacking + 511) / 512 * 512),
                    IsLow = 4 * Math.Min(sendable, (8 * preShared.Remaining(PeerEnd)) + receive) < 8L * preShared.Length,
                };
            }
        }
    }

    /// <summary>Files of distilled segments that were found damaged on opening. They are erased: none of their key was used again.</summary>
    public IReadOnlyList<string> DamagedSegments => _damaged;

    /// <summary>Segments whose holding by the peer is not known yet: ids of their blocks.</summary>
    public IReadOnlyList<long> PendingSegments
    {
        get
        {
            lock (_gate)
            {
                return [.. _segments.Values.Where(segment => !segment.Confirmed).Select(segment => segment.Id)];
            }
        }
    }

    private LinkEnd PeerEnd => End == LinkEnd.Alice ? LinkEnd.Bob : LinkEnd.Alice;

    /// <summary>Makes one pre-shared key and writes it for both ends, each file readable by its owner alone.</summary>
    /// <param name="aliceFolder">Folder of Alice's pool.</param>
    /// <param name="bobFolder">Folder of Bob's pool. Carry it to Bob's machine by hand, and erase it here.</param>
    /// <param name="bits">Length; at least <see cref="MinimumPreSharedBits"/>.</param>
    /// <exception cref="AuthenticationKeyException">One of the files exists: it is not overwritten.</exception>
    public static void CreatePreShared(string aliceFolder, string bobFolder, int bits = DefaultPreSharedBits)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bits, MinimumPreSharedBits);
        string[] paths = [Path.Combine(aliceFolder, PreSharedName), Path.Combine(bobFolder, PreSharedName)];
        if (paths.FirstOrDefault(File.Exists) is { } existing)
        {
            throw new AuthenticationKeyException($"The pre-shared key {existing} exists and is not overwritten.");
        }

        var identity = RandomNumberGenerator.GetBytes(IdentityLength);
        var key = RandomNumberGenerator.GetBytes(bits / 8);
        try
        {
            foreach (var path in paths)
            {
                OwnerOnlyFile.EnsureFolder(Path.GetDirectoryName(Path.GetFullPath(path))!);
                SegmentFile.Create(path, PreSharedSegment, identity, key, confirmed: true);
            }
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    /// <summary>Opens an end's pool.</summary>
    /// <param name="folder">Folder with the pre-shared key.</param>
    /// <param name="end">Whose pool it is.</param>
    /// <param name="levelBits">Below so many bits of distilled segments (both directions together) the pool wants to be fed.</param>
    /// <exception cref="AuthenticationKeyException">The pre-shared key is missing, too short, damaged or open to others.</exception>
    public static AuthenticationPool Open(string folder, LinkEnd end, int levelBits = 131_072)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentOutOfRangeException.ThrowIfNegative(levelBits);
        folder = Path.GetFullPath(folder);
        var preShared = Path.Combine(folder, PreSharedName);
        if (!File.Exists(preShared))
        {
            throw new AuthenticationKeyException($"There is no pre-shared key {preShared}; 'qkd init' makes one for both ends.");
        }

        var pool = new AuthenticationPool(folder, end, levelBits);
        try
        {
            pool.Load(preShared);
            return pool;
        }
        catch
        {
            pool.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Says that a connection is about to be made. Where the last attempt came to no agreement, the next greeting is tagged from the other
    /// source (the pre-shared key instead of distilled segments, and back), so that a peer who has lost his segments is still reached.
    /// </summary>
    public void BeginSession()
    {
        lock (_gate)
        {
            _preferPreShared = _begun && !_agreed && !_preferPreShared;
            _begun = true;
            _agreed = false;
        }
    }

    /// <summary>Takes the next unused bytes of this end's sending direction.</summary>
    /// <exception cref="AuthenticationKeyExhaustedException">No segment that the peer is known to hold has so many left.</exception>
    public Pad Reserve(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        lock (_gate)
        {
            var usable = _segments.Values
                .Where(segment => segment.Confirmed && !_aside.Contains(segment.Id) && segment.Remaining(End) >= bytes)
                .OrderBy(segment => (segment.Id == PreSharedSegment) != _preferPreShared)
                .FirstOrDefault()
                ?? throw new AuthenticationKeyExhaustedException($"No authentication key is left in {_folder}: {bytes} bytes were needed for a tag. Give both ends a new pre-shared key.");
            var offset = usable.Position(End);
            var pad = new Pad(usable.Id, offset, usable.Use(End, offset, bytes));
            DropIfUsedUp(usable);
            return pad;
        }
    }

    /// <summary>
    /// Copies the bytes with which the peer is said to have tagged a message. Anyone may have sent it, so nothing is used up yet: a forged
    /// place must not cost the key before it. If the tag fits, <see cref="UseUp"/> follows before the message is acted upon.
    /// </summary>
    /// <exception cref="AuthenticationKeyException">Unknown segment, outside of it, or a position before one already used up.</exception>
    public Pad Take(long segment, long offset, int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        lock (_gate)
        {
            if (!_segments.TryGetValue(segment, out var held))
            {
                throw new AuthenticationKeyException($"The peer used segment {segment} of the authentication key, which this end does not hold (any more).");
            }

            var position = held.Position(PeerEnd);
            if (offset < position)
            {
                throw new AuthenticationKeyException($"The peer used position {offset} of segment {segment} of the authentication key; everything before {position} is used: a replay.");
            }

            if (_forfeited.Any(pad => pad.Segment == segment && pad.Offset < offset + bytes && offset < pad.Offset + SmallestPad))
            {
                throw new AuthenticationKeyException($"The peer used position {offset} of segment {segment} of the authentication key, which a tag that did not fit has used up.");
            }

            if (offset > held.Length - bytes)
            {
                throw new AuthenticationKeyException($"The peer used position {offset} of segment {segment} of the authentication key, which ends at {held.Length}.");
            }

            return new Pad(segment, offset, held.Copy(PeerEnd, offset, bytes));
        }
    }

    /// <summary>
    /// The tag that was checked with bytes from <see cref="Take"/> fits: they and all before them are used up, durably, and no message can be
    /// checked with them again. That the peer used the segment proves that he holds it.
    /// </summary>
    /// <param name="pad">What <see cref="Take"/> gave; only its place counts, so it may have been erased.</param>
    public void UseUp(Pad pad)
    {
        ArgumentNullException.ThrowIfNull(pad);
        lock (_gate)
        {
            if (_segments.TryGetValue(pad.Segment, out var held))
            {
                held.Confirm();
                held.Advance(PeerEnd, pad.Offset + pad.Bytes.Length);
                DropIfUsedUp(held);
            }
        }
    }

    /// <summary>
    /// The tag that was checked with bytes from <see cref="Take"/>, in a session whose handshake was done, does not fit: they are never taken
    /// again. They alone, so that a forged place far ahead does not cost the key before it. Where they are the next ones, which is where an
    /// altered message has them, that is durable; elsewhere it is remembered until the process ends, and the next handshake leads past it.
    /// </summary>
    /// <param name="pad">What <see cref="Take"/> gave; only its place counts, so it may have been erased.</param>
    public void Forfeit(Pad pad)
    {
        ArgumentNullException.ThrowIfNull(pad);
        lock (_gate)
        {
            if (!_segments.TryGetValue(pad.Segment, out var held))
            {
                return;
            }

            var position = held.Position(PeerEnd);
            if (pad.Offset == position)
            {
                held.Advance(PeerEnd, position + pad.Bytes.Length);
                DropIfUsedUp(held);
            }
            else if (pad.Offset > position)
            {
                _forfeited.RemoveWhere(past => !_segments.TryGetValue(past.Segment, out var segment) || past.Offset < segment.Position(PeerEnd));
                for (var offset = pad.Offset; offset < pad.Offset + pad.Bytes.Length; offset += SmallestPad)
                {
                    _forfeited.Add((pad.Segment, offset));
                }
            }
        }
    }

    /// <summary>Adds key that both ends have taken from the same block. It is used for sending once it is confirmed.</summary>
    /// <param name="segment">The block's id; above 0, or below 0 for key drawn from the store.</param>
    /// <param name="key">The key, the same at both ends.</param>
    internal void Append(long segment, ReadOnlySpan<byte> key)
    {
        ArgumentOutOfRangeException.ThrowIfZero(segment);
        lock (_gate)
        {
            if (_segments.ContainsKey(segment) || key.Length < 2 * SmallestPad)
            {
                return;
            }

            var path = Path.Combine(_folder, SegmentsName, $"{unchecked((ulong)segment):x16}.key");
            Span<byte> identity = stackalloc byte[IdentityLength];
            identity.Clear();
            SegmentFile.Create(path, segment, identity, key, confirmed: false);
            _segments[segment] = SegmentFile.Open(path);
        }
    }

    /// <summary>The peer is known to hold this segment.</summary>
    public void Confirm(long segment)
    {
        lock (_gate)
        {
            if (_segments.TryGetValue(segment, out var held))
            {
                held.Confirm();
            }
        }
    }

    /// <summary>The segment's block is void: it is destroyed. The pre-shared key never is.</summary>
    public void Discard(long segment)
    {
        lock (_gate)
        {
            if (segment != PreSharedSegment && _segments.Remove(segment, out var held))
            {
                held.Destroy();
            }
        }
    }

    /// <summary>This end's positions in all segments, for the peer. Nothing in it is secret; it must be authenticated.</summary>
    /// <remarks><c>identity of the pre-shared key (16); u32 count; count x (i64 segment; i64 position Alice to Bob; i64 position Bob to Alice)</c>, little-endian.</remarks>
    public byte[] DescribePositions()
    {
        lock (_gate)
        {
            var bytes = new byte[IdentityLength + 4 + (_segments.Count * EntryLength)];
            _segments[PreSharedSegment].Identity.CopyTo(bytes.AsSpan());
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(IdentityLength), _segments.Count);
            var entry = bytes.AsSpan(IdentityLength + 4);
            foreach (var segment in _segments.Values)
            {
                BinaryPrimitives.WriteInt64LittleEndian(entry, segment.Id);
                BinaryPrimitives.WriteInt64LittleEndian(entry[8..], segment.Position(LinkEnd.Alice));
                BinaryPrimitives.WriteInt64LittleEndian(entry[16..], segment.Position(LinkEnd.Bob));
                entry = entry[EntryLength..];
            }

            _described = [.. _segments.Keys];
            return bytes;
        }
    }

    /// <summary>
    /// Skips to the further of both ends' positions in each segment. Segments that both hold are confirmed; of those that the peer does not hold,
    /// the ones that he once did are destroyed, the others set aside for this session.
    /// </summary>
    /// <param name="peerPositions">What the peer's <see cref="DescribePositions"/> gave, authenticated.</param>
    /// <exception cref="AuthenticationKeyException">Malformed, or another pre-shared key than this end's.</exception>
    /// <exception cref="AuthenticationKeyExhaustedException">Nothing is left that both ends hold.</exception>
    public void Agree(ReadOnlySpan<byte> peerPositions)
    {
        var peer = ReadPositions(peerPositions);
        lock (_gate)
        {
            if (!peerPositions[..IdentityLength].SequenceEqual(_segments[PreSharedSegment].Identity))
            {
                throw new AuthenticationKeyException($"The peer holds another pre-shared key than the one in {_folder}.");
            }

            _aside.Clear();
            foreach (var segment in _segments.Values.ToList())
            {
                if (peer.TryGetValue(segment.Id, out var positions))
                {
                    segment.Confirm();
                    segment.Advance(LinkEnd.Alice, Math.Min(positions.Alice, segment.Length));
                    segment.Advance(LinkEnd.Bob, Math.Min(positions.Bob, segment.Length));
                    DropIfUsedUp(segment);
                }
                else if (_described.Contains(segment.Id))
                {
                    SetAside(segment);
                }
            }

            _agreed = true;
            _preferPreShared = false;
            var common = _segments.Values.Where(segment => !_aside.Contains(segment.Id)).ToList();
            if (!common.Any(segment => segment.Remaining(End) >= SmallestPad) || !common.Any(segment => segment.Remaining(PeerEnd) >= SmallestPad))
            {
                throw new AuthenticationKeyExhaustedException($"No authentication key is left that both ends hold ({_folder}). Give both ends a new pre-shared key.");
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            foreach (var segment in _segments.Values)
            {
                segment.Dispose();
            }

            _segments.Clear();
        }
    }

    private static Dictionary<long, (long Alice, long Bob)> ReadPositions(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < IdentityLength + 4)
        {
            throw new AuthenticationKeyException("The peer's positions in the authentication key are truncated.");
        }

        var count = BinaryPrimitives.ReadInt32LittleEndian(bytes[IdentityLength..]);
        var entries = bytes[(IdentityLength + 4)..];
        if (count < 0 || entries.Length != (long)count * EntryLength)
        {
            throw new AuthenticationKeyException("The peer's positions in the authentication key are malformed.");
        }

        var positions = new Dictionary<long, (long, long)>(count);
        for (; !entries.IsEmpty; entries = entries[EntryLength..])
        {
            positions[BinaryPrimitives.ReadInt64LittleEndian(entries)] =
                (BinaryPrimitives.ReadInt64LittleEndian(entries[8..]), BinaryPrimitives.ReadInt64LittleEndian(entries[16..]));
        }

        return positions;
    }

    private void Load(string preShared)
    {
        var first = SegmentFile.Open(preShared);
        _segments[PreSharedSegment] = first;
        if (first.Id != PreSharedSegment || 16L * first.Length < MinimumPreSharedBits)
        {
            throw new AuthenticationKeyException($"{preShared} is not a pre-shared key of at least {MinimumPreSharedBits} bits.");
        }

        var folder = Path.Combine(_folder, SegmentsName);
        OwnerOnlyFile.EnsureFolder(folder);
        foreach (var path in Directory.EnumerateFiles(folder, "*.key.new"))
        {
            // Cut off while it was made: its block never got into the store.
            SegmentFile.Erase(path);
        }

        foreach (var path in Directory.EnumerateFiles(folder, "*.key"))
        {
            SegmentFile segment;
            try
            {
                segment = SegmentFile.Open(path);
            }
            catch (SegmentDamagedException)
            {
                // Not worth the link: the peer finds the segment missing at the next handshake and drops his.
                SegmentFile.Erase(path);
                _damaged.Add(path);
                continue;
            }

            if (!_segments.TryAdd(segment.Id, segment))
            {
                segment.Dispose();
                throw new AuthenticationKeyException($"{path} repeats segment {segment.Id} of the authentication key.");
            }
        }
    }

    /// <summary>
    /// The peer does not hold this segment. If he once did, he has used it up or lost it, and it is of no use any more; if that was never
    /// known, its block is still to be settled.
    /// </summary>
    private void SetAside(SegmentFile segment)
    {
        if (segment.Confirmed)
        {
            _segments.Remove(segment.Id);
            segment.Destroy();
        }
        else
        {
            _aside.Add(segment.Id);
        }
    }

    /// <summary>A distilled segment with nothing left for a tag in either direction goes.</summary>
    private void DropIfUsedUp(SegmentFile segment)
    {
        if (segment.Id != PreSharedSegment && segment.Remaining(LinkEnd.Alice) < SmallestPad && segment.Remaining(LinkEnd.Bob) < SmallestPad)
        {
            _segments.Remove(segment.Id);
            segment.Destroy();
        }
    }
}
