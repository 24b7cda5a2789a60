using System.Buffers;
using System.Text.Json;
using Qkd.Devices;
using Qkd.Timing.Formats;

namespace Qkd.Timing.Recording;

/// <summary>Kinds of entry in a recording. The numbers are in the file: they are never given a new meaning.</summary>
public enum RecordingEntryKind : byte
{
    /// <summary>See <see cref="SessionEntry"/>.</summary>
    Session = 1,

    /// <summary>See <see cref="ConfigurationEntry"/>.</summary>
    Configuration = 2,

    /// <summary>See <see cref="DeviceSnapshotEntry"/>.</summary>
    DeviceSnapshot = 3,

    /// <summary>See <see cref="ReceptionEntry"/>.</summary>
    Reception = 4,

    /// <summary>See <see cref="TagsEntry"/>.</summary>
    Tags = 5,

    /// <summary>See <see cref="ReceiverDrawEntry"/>.</summary>
    ReceiverDraw = 6,

    /// <summary>See <see cref="RecordingEndedEntry"/>.</summary>
    Ended = 7,

    /// <summary>See <see cref="BlockOpenedEntry"/>.</summary>
    BlockOpened = 16,

    /// <summary>See <see cref="PreparedFrameEntry"/>.</summary>
    PreparedFrame = 17,

    /// <summary>See <see cref="BlockDrawEntry"/>.</summary>
    BlockDraw = 18,

    /// <summary>See <see cref="BlockConditionsEntry"/>.</summary>
    BlockConditions = 19,

    /// <summary>See <see cref="BlockReceivedEntry"/>.</summary>
    BlockReceived = 20,

    /// <summary>See <see cref="BlockSentEntry"/>.</summary>
    BlockSent = 21,

    /// <summary>See <see cref="BlockFeedEntry"/>.</summary>
    BlockFeed = 22,

    /// <summary>See <see cref="BlockAcceptedEntry"/>.</summary>
    BlockAccepted = 23,

    /// <summary>See <see cref="BlockDiscardedEntry"/>.</summary>
    BlockDiscarded = 24,
}

/// <summary>One thing that happened in a session, as it stands in a recording. What was secret in the session is as secret here.</summary>
public abstract record RecordingEntry
{
    private protected RecordingEntry()
    {
    }

    /// <summary>Its kind.</summary>
    public abstract RecordingEntryKind Kind { get; }

    /// <summary>Writes its content.</summary>
    public abstract void WriteTo(IBufferWriter<byte> destination);

    /// <summary>Reads the content of an entry.</summary>
    /// <param name="kind">Its kind.</param>
    /// <param name="content">Its content; the entry may keep it.</param>
    /// <param name="byteOffset">Where in the file it is, for faults.</param>
    /// <exception cref="TagFormatException">There is no such kind, or the content is not one of that kind.</exception>
    internal static RecordingEntry Read(RecordingEntryKind kind, byte[] content, long byteOffset)
    {
        var cursor = new EntryCursor(content, byteOffset);
        RecordingEntry entry = kind switch
        {
            RecordingEntryKind.Session => new SessionEntry(cursor.Text(), cursor.Text(), cursor.Text(), cursor.Time(), cursor.Text()),
            RecordingEntryKind.Configuration => new ConfigurationEntry(cursor.Text()),
            RecordingEntryKind.DeviceSnapshot => new DeviceSnapshotEntry(cursor.Text()),
            RecordingEntryKind.Reception => new ReceptionEntry(cursor.Int64(), cursor.Enum<TagTimeBase>(), cursor.Json<TagReceiverSettings>()),
            RecordingEntryKind.Tags => new TagsEntry(TagBatchEncoding.Read(ref cursor)),
            RecordingEntryKind.ReceiverDraw => new ReceiverDrawEntry(cursor.Rest()),
            RecordingEntryKind.Ended => new RecordingEndedEntry(cursor.Text()),
            RecordingEntryKind.BlockOpened => new BlockOpenedEntry(cursor.Int64(), cursor.Text()),
            RecordingEntryKind.PreparedFrame => new PreparedFrameEntry(cursor.Int64(), cursor.Int64(), cursor.Words()),
            RecordingEntryKind.BlockDraw => new BlockDrawEntry(cursor.Int64(), cursor.Rest()),
            RecordingEntryKind.BlockConditions => new BlockConditionsEntry(cursor.Int64(), cursor.Text(), cursor.Boolean(), cursor.Double(), cursor.Duration(), cursor.Double(), cursor.Double()),
            RecordingEntryKind.BlockReceived => new BlockReceivedEntry(cursor.Int64(), cursor.Byte(), cursor.Rest()),
            RecordingEntryKind.BlockSent => new BlockSentEntry(cursor.Int64(), cursor.Byte(), cursor.Int32(), cursor.Digest()),
            RecordingEntryKind.BlockFeed => new BlockFeedEntry(cursor.Int64(), cursor.Int32()),
            RecordingEntryKind.BlockAccepted => new BlockAcceptedEntry(cursor.Int64(), cursor.Int64(), cursor.Digest()),
            RecordingEntryKind.BlockDiscarded => new BlockDiscardedEntry(cursor.Int64(), cursor.Text()),
            _ => throw new TagFormatException(byteOffset, $"there is no entry of kind {(byte)kind}"),
        };
        cursor.End();
        return entry;
    }

    /// <summary>The name alone: what an entry holds may be secret.</summary>
    public sealed override string ToString() => GetType().Name;
}

/// <summary>One thing that happened in a block.</summary>
/// <param name="BlockId">The block.</param>
public abstract record BlockEntry(long BlockId) : RecordingEntry;

/// <summary>Whose session it is. The first entry of a recording.</summary>
/// <param name="End"><c>Alice</c> or <c>Bob</c>.</param>
/// <param name="Node">Name of the node.</param>
/// <param name="Software">What wrote the recording, with its version.</param>
/// <param name="StartedAt">When the session began.</param>
/// <param name="AgreementJson">What both nodes agreed on, as JSON.</param>
public sealed record SessionEntry(string End, string Node, string Software, DateTimeOffset StartedAt, string AgreementJson) : RecordingEntry
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.Session;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination)
    {
        destination.Text(End);
        destination.Text(Node);
        destination.Text(Software);
        destination.Time(StartedAt);
        destination.Text(AgreementJson);
    }
}

/// <summary>The configuration of the node, without secrets.</summary>
/// <param name="Json">As JSON.</param>
public sealed record ConfigurationEntry(string Json) : RecordingEntry
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.Configuration;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination) => destination.Text(Json);
}

/// <summary>What an instrument told of itself when the session began.</summary>
/// <param name="Json">A <see cref="DeviceSnapshot"/> as JSON, or an object that says why there is none.</param>
public sealed record DeviceSnapshotEntry(string Json) : RecordingEntry
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.DeviceSnapshot;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination) => destination.Text(Json);
}

/// <summary>The receiver has been anchored: the tags that follow are those that it was given.</summary>
/// <param name="FirstSlot">The slot that the light begins with.</param>
/// <param name="TimeBase">What its times count from, which decides the kind of receiver.</param>
/// <param name="Settings">What the receiver was made with.</param>
public sealed record ReceptionEntry(long FirstSlot, TagTimeBase TimeBase, TagReceiverSettings Settings) : RecordingEntry
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.Reception;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination)
    {
        destination.Int64(FirstSlot);
        destination.Byte((byte)TimeBase);
        destination.Text(JsonSerializer.Serialize(Settings));
    }
}

/// <summary>A batch of tags as the tagger delivered it.</summary>
/// <param name="Batch">The batch. Not owned.</param>
public sealed record TagsEntry(TagBatch Batch) : RecordingEntry
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.Tags;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination) => TagBatchEncoding.Write(Batch, destination);
}

/// <summary>Random bytes that the receiver drew, for the bits of double clicks.</summary>
/// <param name="Bytes">The bytes of one draw.</param>
public sealed record ReceiverDrawEntry(ReadOnlyMemory<byte> Bytes) : RecordingEntry
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.ReceiverDraw;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination) => destination.Write(Bytes.Span);
}

/// <summary>Nothing more is recorded. The last entry of a recording that was not cut off.</summary>
/// <param name="Reason">Why, in words.</param>
public sealed record RecordingEndedEntry(string Reason) : RecordingEntry
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.Ended;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination) => destination.Text(Reason);
}

/// <summary>A block was opened.</summary>
/// <param name="BlockId">The block.</param>
/// <param name="ParametersJson">Its parameters as this end holds them, as JSON.</param>
public sealed record BlockOpenedEntry(long BlockId, string ParametersJson) : BlockEntry(BlockId)
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.BlockOpened;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination)
    {
        destination.Int64(BlockId);
        destination.Text(ParametersJson);
    }
}

/// <summary>What Alice prepared in a frame of which bases and intensities were then told.</summary>
/// <param name="BlockId">The block that it was told for.</param>
/// <param name="Frame">Number of the frame.</param>
/// <param name="Symbols">The whole frame in the layout of <see cref="PackedSymbols"/>.</param>
public sealed record PreparedFrameEntry(long BlockId, long Frame, ReadOnlyMemory<ulong> Symbols) : BlockEntry(BlockId)
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.PreparedFrame;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination)
    {
        destination.Int64(BlockId);
        destination.Int64(Frame);
        destination.Words(Symbols.Span);
    }
}

/// <summary>Random bytes that this end drew for a block, in the order of the draws.</summary>
/// <param name="BlockId">The block.</param>
/// <param name="Bytes">The bytes of one draw.</param>
public sealed record BlockDrawEntry(long BlockId, ReadOnlyMemory<byte> Bytes) : BlockEntry(BlockId)
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.BlockDraw;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination)
    {
        destination.Int64(BlockId);
        destination.Write(Bytes.Span);
    }
}

/// <summary>What the correction of a block was begun with.</summary>
/// <param name="BlockId">The block.</param>
/// <param name="Method">The method; empty at Bob, whom Alice's first message tells it.</param>
/// <param name="Chosen">Whether the method is chosen for each block, which the first message then says.</param>
/// <param name="ErrorRate">Error rate to expect in the key basis, 0 to 1; not a number if nothing is known.</param>
/// <param name="RoundTrip">Time from a message to its answer; zero if it is not known.</param>
/// <param name="SiftedBitsPerSecond">Bits a second to keep up with; zero if it is not known.</param>
/// <param name="SecretShare">Share of the sifted bits that is secret, 0 to 1; zero if it is not known.</param>
public sealed record BlockConditionsEntry(
    long BlockId, string Method, bool Chosen, double ErrorRate, TimeSpan RoundTrip, double SiftedBitsPerSecond, double SecretShare) : BlockEntry(BlockId)
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.BlockConditions;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination)
    {
        destination.Int64(BlockId);
        destination.Text(Method);
        destination.Byte(Chosen ? (byte)1 : (byte)0);
        destination.Double(ErrorRate);
        destination.Int64(RoundTrip.Ticks);
        destination.Double(SiftedBitsPerSecond);
        destination.Double(SecretShare);
    }
}

/// <summary>A message of the peer's about a block, in the order in which this end took them.</summary>
/// <param name="BlockId">The block.</param>
/// <param name="Type">Kind of message, as on the wire.</param>
/// <param name="Payload">Its content.</param>
public sealed record BlockReceivedEntry(long BlockId, byte Type, ReadOnlyMemory<byte> Payload) : BlockEntry(BlockId)
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.BlockReceived;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination)
    {
        destination.Int64(BlockId);
        destination.Byte(Type);
        destination.Write(Payload.Span);
    }
}

/// <summary>A message that this end sent about a block. Its content follows from the rest of the recording: only a digest of it is kept.</summary>
/// <param name="BlockId">The block.</param>
/// <param name="Type">Kind of message, as on the wire.</param>
/// <param name="Length">Length of its content in bytes.</param>
/// <param name="Sha256">SHA-256 of its content.</param>
public sealed record BlockSentEntry(long BlockId, byte Type, int Length, ReadOnlyMemory<byte> Sha256) : BlockEntry(BlockId)
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.BlockSent;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination)
    {
        destination.Int64(BlockId);
        destination.Byte(Type);
        destination.Int32(Length);
        destination.Digest(Sha256.Span);
    }
}

/// <summary>How much of a block's key Alice sets aside for authentication: it depends on her stock of it.</summary>
/// <param name="BlockId">The block.</param>
/// <param name="AuthenticationBits">Bits.</param>
public sealed record BlockFeedEntry(long BlockId, int AuthenticationBits) : BlockEntry(BlockId)
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.BlockFeed;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination)
    {
        destination.Int64(BlockId);
        destination.Int32(AuthenticationBits);
    }
}

/// <summary>A block has ended in key. The key itself is never recorded.</summary>
/// <param name="BlockId">The block.</param>
/// <param name="KeyBits">Length of the key in bits.</param>
/// <param name="KeySha256">SHA-256 of the key, before anything of it is set aside for authentication.</param>
public sealed record BlockAcceptedEntry(long BlockId, long KeyBits, ReadOnlyMemory<byte> KeySha256) : BlockEntry(BlockId)
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.BlockAccepted;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination)
    {
        destination.Int64(BlockId);
        destination.Int64(KeyBits);
        destination.Digest(KeySha256.Span);
    }
}

/// <summary>A block was given up.</summary>
/// <param name="BlockId">The block.</param>
/// <param name="Reason">Why, in words.</param>
public sealed record BlockDiscardedEntry(long BlockId, string Reason) : BlockEntry(BlockId)
{
    /// <inheritdoc/>
    public override RecordingEntryKind Kind => RecordingEntryKind.BlockDiscarded;

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> destination)
    {
        destination.Int64(BlockId);
        destination.Text(Reason);
    }
}
