using Qkd.Distillation;

namespace Qkd.Link;

/// <summary>
/// One-time key for tags, handed out once. <see cref="Bytes"/> is erased on dispose.
/// </summary>
/// <param name="Segment">Which piece of authentication key: 0 for the pre-shared key, else the block it came from.</param>
/// <param name="Offset">Byte offset in the segment and direction.</param>
/// <param name="Bytes">The key bytes.</param>
public sealed record AuthenticationPad(long Segment, long Offset, byte[] Bytes) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => System.Security.Cryptography.CryptographicOperations.ZeroMemory(Bytes);

    /// <inheritdoc/>
    public override string ToString() => $"pad {Segment}:{Offset} ({Bytes.Length} bytes)";
}

/// <summary>
/// The port to the authentication key that both nodes share. Two directions never share bits. A position is made durable before its bits
/// are handed out, and never goes back.
/// </summary>
public interface IAuthenticationKey
{
    /// <summary>Takes the next unused bytes of this node's sending direction.</summary>
    /// <exception cref="LinkException">The key is exhausted.</exception>
    AuthenticationPad Reserve(int bytes);

    /// <summary>
    /// Copies the bytes that the peer is said to have used for a message. Anyone may have sent it, so they count as used only with
    /// <see cref="UseUp"/>: a forged place must not cost the key before it.
    /// </summary>
    /// <exception cref="LinkAuthenticationException">Unknown segment, or a position before one already used up.</exception>
    AuthenticationPad Take(long segment, long offset, int bytes);

    /// <summary>The tag that was checked with this pad fits: all up to its end is used up, durably, before the message is acted upon.</summary>
    /// <exception cref="LinkException">It cannot be made durable.</exception>
    void UseUp(AuthenticationPad pad);

    /// <summary>
    /// The tag that was checked with this pad, in a session, does not fit: the pad is never taken again. It alone: a forged place far ahead
    /// must not cost the key before it.
    /// </summary>
    /// <exception cref="LinkException">It cannot be made durable.</exception>
    void Forfeit(AuthenticationPad pad);

    /// <summary>This node's positions in all segments it holds, to be sent in a handshake.</summary>
    byte[] DescribePositions();

    /// <summary>Bits that this node would like to be fed from the next block; 0 if it has enough.</summary>
    int WantedBits { get; }

    /// <summary>Skips to the further of both nodes' positions, and sets aside segments that only one of them holds.</summary>
    /// <exception cref="LinkAuthenticationException">The two nodes have no key in common that is left.</exception>
    void Agree(ReadOnlySpan<byte> peerPositions);
}

/// <summary>The port through which finished key leaves the link.</summary>
public interface IBlockSink
{
    /// <summary>
    /// Takes a secret key over and makes it durable. It must not be delivered to anyone before the peer is known to hold it too.
    /// </summary>
    /// <param name="key">The key; the sink owns and erases it.</param>
    /// <param name="authenticationBits">How much of it feeds the authentication key: the same on both sides.</param>
    /// <param name="report">The block's public figures.</param>
    /// <param name="cancellationToken">Ends the wait for the store.</param>
    ValueTask AcceptAsync(SecretKey key, int authenticationBits, BlockReport report, CancellationToken cancellationToken);
}

/// <summary>Answers requests that the peer's node sends.</summary>
public interface ILinkRequestHandler
{
    /// <summary>Answers one request.</summary>
    /// <exception cref="LinkException">The request cannot be met; the text goes to the peer.</exception>
    ValueTask<ReadOnlyMemory<byte>> HandleAsync(LinkTopic topic, ReadOnlyMemory<byte> request, CancellationToken cancellationToken);
}

/// <summary>Sends requests to the peer's node over a running session: those of the key stores tagged, those about light and keying not.</summary>
public interface IPeerRequests
{
    /// <summary>Ends when the handshake is done and requests can be sent; is cancelled when the session ends without one.</summary>
    Task Ready { get; }

    /// <summary>Asks the peer and waits for the answer.</summary>
    /// <exception cref="LinkException">The peer refuses, does not answer in time, or the connection is lost.</exception>
    ValueTask<ReadOnlyMemory<byte>> RequestAsync(LinkTopic topic, ReadOnlyMemory<byte> request, CancellationToken cancellationToken);
}

/// <summary>
/// Keeps the receiver's polarization aligned. It sees every frame's pilot and moves the controller on a task of its own.
/// </summary>
public interface IPolarizationKeeper
{
    /// <summary>Whether key may be made now.</summary>
    bool IsAligned { get; }

    /// <summary>Why it is not aligned; empty if it is.</summary>
    string Problem { get; }

    /// <summary>Begins: the session is there to ask Alice which slot she emits, which dates a movement in her slots.</summary>
    /// <param name="emittedSlot">Asks for the slot that leaves Alice's transmitter now.</param>
    /// <param name="cancellationToken">Ends the keeper's task.</param>
    Task RunAsync(Func<CancellationToken, ValueTask<long>> emittedSlot, CancellationToken cancellationToken);

    /// <summary>Takes one frame, in order. Quick.</summary>
    void FrameReceived(Timing.DetectionFrame frame);
}

/// <summary>
/// What a request outside a block is about. The numbers are on the wire. Only the stores' talk is tagged: who alters a request about light
/// or keying can destroy key, and nothing else (docs/security.md).
/// </summary>
public enum LinkTopic : byte
{
    /// <summary>Bob's tagger is recording: Alice may emit. The answer names the first slot.</summary>
    StartEmission = 1,

    /// <summary>Which slot leaves Alice's transmitter now.</summary>
    EmittedSlot = 2,

    /// <summary>Bob is locked and aligned from a frame on: Alice may open blocks. The answer is empty.</summary>
    StartKeying = 3,

    /// <summary>Bob lost lock or alignment, or noticed an attack: open blocks are given up.</summary>
    StopKeying = 4,

    /// <summary>The key stores settle something between them.</summary>
    KeyStore = 5,
}

/// <summary>Watches a link. Calls are quick and never throw.</summary>
public interface ILinkMonitor
{
    /// <summary>The session has entered a state.</summary>
    void StateChanged(SessionState state, string detail);

    /// <summary>Light leaves the transmitter from now on (at Alice).</summary>
    void EmissionStarted();

    /// <summary>The receiver that this session's tags go through (at Bob): its clock, arrivals and afterpulses are live, and may be looked at from any thread.</summary>
    void ReceiverStarted(Timing.ITagReceiver receiver);

    /// <summary>A frame has been gated (at Bob).</summary>
    void FrameReceived(Timing.DetectionFrame frame);

    /// <summary>A block has ended in key.</summary>
    void BlockAccepted(BlockReport report);

    /// <summary>A block was given up.</summary>
    void BlockDiscarded(BlockReport report, string reason);

    /// <summary>Something needs a person's attention.</summary>
    void Alarm(AlarmKind kind, string detail);
}

/// <summary>States of a session between the two nodes.</summary>
public enum SessionState
{
    /// <summary>No connection.</summary>
    Disconnected,

    /// <summary>Connected, proving identity and agreeing on positions in the authentication key.</summary>
    Handshake,

    /// <summary>Waiting for light, then for the slot numbering.</summary>
    Synchronising,

    /// <summary>The polarization controller is being set.</summary>
    Aligning,

    /// <summary>Key is being made.</summary>
    Keying,

    /// <summary>Ended; the reason is in the detail.</summary>
    Stopped,
}

/// <summary>Kinds of alarm.</summary>
public enum AlarmKind
{
    /// <summary>The error rate is above its limit, or has risen beyond chance.</summary>
    Qber,

    /// <summary>Polarization could not be aligned, or alignment was lost.</summary>
    Alignment,

    /// <summary>The slot numbering was lost.</summary>
    Synchronisation,

    /// <summary>Simultaneous clicks have risen.</summary>
    MultiClick,

    /// <summary>Block after block ends without key.</summary>
    NoKey,

    /// <summary>A tag failed, a message was replayed or reordered.</summary>
    ClassicalChannel,

    /// <summary>The connection to the peer is lost or cannot be made.</summary>
    Link,

    /// <summary>An instrument failed, fell silent or opened an interlock.</summary>
    Device,

    /// <summary>Tags were lost.</summary>
    TagLoss,

    /// <summary>The authentication key is running low.</summary>
    AuthenticationKey,

    /// <summary>The recording of a session ended before the session did.</summary>
    Recording,
}
