using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link.Wire;
using Qkd.Timing;

namespace Qkd.Link.Recording;

/// <summary>
/// Takes down what a session's outcome follows from, so that the session can be replayed bit for bit: what came from outside and what was drawn. Calls are quick, never
/// throw and never hold the session up.
/// </summary>
public interface ISessionRecorder
{
    /// <summary>Bob: takes down what the receiver draws from a source.</summary>
    ISecretRandomness ReceiverRandomness(ISecretRandomness source);

    /// <summary>Bob: the receiver was anchored.</summary>
    /// <param name="receiver">The receiver.</param>
    /// <param name="firstSlot">The slot that the light begins with.</param>
    void ReceptionBegan(ITagReceiver receiver, long firstSlot);

    /// <summary>Bob: the receiver has taken a batch. After what it drew for it, and before any frame that came of it is used.</summary>
    void TagsReceived(TagBatch batch);

    /// <summary>A block is opened. Before any of its frames is used.</summary>
    /// <param name="parameters">Its parameters as this end holds them.</param>
    /// <returns>Takes down what happens in the block.</returns>
    IBlockRecorder BlockOpened(BlockParameters parameters);
}

/// <summary>Takes down what happens in one block, in the order in which the block's own task does it. One thread at a time.</summary>
public interface IBlockRecorder
{
    /// <summary>Takes down what this end draws for the block from a source. A draw is taken down before what is made of it is sent.</summary>
    ISecretRandomness Randomness(ISecretRandomness source);

    /// <summary>Alice: what she prepared in a frame that she is about to match.</summary>
    void Prepared(long frame, ReadOnlyMemory<ulong> symbols);

    /// <summary>A message to the peer.</summary>
    void Sent(MessageType type, ReadOnlyMemory<byte> payload);

    /// <summary>A message of the peer's, when it is taken up.</summary>
    void Received(MessageType type, ReadOnlyMemory<byte> payload);

    /// <summary>What the correction was begun with.</summary>
    /// <param name="method">The method as <see cref="IReconciliation.Method"/> has it.</param>
    /// <param name="chosen">Whether it is chosen for each block.</param>
    /// <param name="conditions">What to expect.</param>
    void Reconciling(string method, bool chosen, ReconciliationConditions conditions);

    /// <summary>Alice: how much of the key is set aside for authentication.</summary>
    void Fed(int authenticationBits);

    /// <summary>The key was released; what becomes of it follows.</summary>
    void Released(SecretKey key);

    /// <summary>The released key was stored.</summary>
    void Accepted();

    /// <summary>The block was given up.</summary>
    void Discarded(string reason);
}

/// <summary>Takes nothing down.</summary>
public sealed class NoRecording : ISessionRecorder, IBlockRecorder
{
    private NoRecording()
    {
    }

    /// <summary>The one instance.</summary>
    public static NoRecording Instance { get; } = new();

    /// <inheritdoc/>
    public ISecretRandomness ReceiverRandomness(ISecretRandomness source) => source;

    /// <inheritdoc/>
    public void ReceptionBegan(ITagReceiver receiver, long firstSlot)
    {
    }

    /// <inheritdoc/>
    public void TagsReceived(TagBatch batch)
    {
    }

    /// <inheritdoc/>
    public IBlockRecorder BlockOpened(BlockParameters parameters) => this;

    /// <inheritdoc/>
    public ISecretRandomness Randomness(ISecretRandomness source) => source;

    /// <inheritdoc/>
    public void Prepared(long frame, ReadOnlyMemory<ulong> symbols)
    {
    }

    /// <inheritdoc/>
    public void Sent(MessageType type, ReadOnlyMemory<byte> payload)
    {
    }

    /// <inheritdoc/>
    public void Received(MessageType type, ReadOnlyMemory<byte> payload)
    {
    }

    /// <inheritdoc/>
    public void Reconciling(string method, bool chosen, ReconciliationConditions conditions)
    {
    }

    /// <inheritdoc/>
    public void Fed(int authenticationBits)
    {
    }

    /// <inheritdoc/>
    public void Released(SecretKey key)
    {
    }

    /// <inheritdoc/>
    public void Accepted()
    {
    }

    /// <inheritdoc/>
    public void Discarded(string reason)
    {
    }
}
