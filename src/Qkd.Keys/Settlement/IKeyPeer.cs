namespace Qkd.Keys;

/// <summary>
/// The way to the other side's key store: one question, one answer, over a channel that authenticates both. The channel need not be secret
/// (no key bit is ever sent) and may lose a question or an answer; the other side answers with <see cref="KeyManager.HandleAsync"/>.
/// </summary>
public interface IKeyPeer
{
    /// <summary>Sends a question and returns the answer.</summary>
    /// <exception cref="Exception">Whatever the channel throws means the same: it is not known whether the question arrived.</exception>
    ValueTask<ReadOnlyMemory<byte>> ExchangeAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken);
}
