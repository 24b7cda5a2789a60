namespace Qkd.Distillation;

/// <summary>Holds something secret that is handed on exactly once, to the next stage, or else erased.</summary>
internal sealed class Custody<T>(string owner, T secret) : IDisposable
    where T : class, IDisposable
{
    private T? _secret = secret;

    /// <summary>Looks at it without taking it.</summary>
    /// <exception cref="ObjectDisposedException">It was handed on or erased.</exception>
    public T Peek() => _secret ?? throw Gone();

    /// <summary>Hands it on.</summary>
    /// <exception cref="ObjectDisposedException">It was handed on or erased before.</exception>
    public T Take() => Interlocked.Exchange(ref _secret, null) ?? throw Gone();

    /// <summary>Erases it, if it is still here.</summary>
    public void Dispose() => Interlocked.Exchange(ref _secret, null)?.Dispose();

    private ObjectDisposedException Gone() => new(owner, "The block has been handed on to its next stage or erased: no stage can be repeated.");
}
