using System.Collections.Concurrent;

namespace Qkd.Keys.Tests.Support;

/// <summary>The channel from one side to the other's key store, in memory, with the faults that a test asks for.</summary>
internal sealed class MemoryPeer(Func<KeyManager> other) : IKeyPeer
{
    /// <summary>Whether questions get through at all.</summary>
    public bool Connected { get; set; } = true;

    /// <summary>Whether the next questions with these numbers (from 0, in the order they are asked) are lost on the way there.</summary>
    public Func<int, bool> LoseQuestion { get; set; } = static _ => false;

    /// <summary>The same for the answers: the other side has acted on the question, this side never hears of it.</summary>
    public Func<int, bool> LoseAnswer { get; set; } = static _ => false;

    /// <summary>Whether every question arrives twice; the second answer is the one that counts.</summary>
    public bool Twice { get; set; }

    /// <summary>Changes a question or an answer on its way.</summary>
    public Func<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Tamper { get; set; } = static message => message;

    /// <summary>Runs before a question is passed on.</summary>
    public Func<Task> Before { get; set; } = static () => Task.CompletedTask;

    /// <summary>All questions that arrived.</summary>
    public ConcurrentQueue<byte[]> Questions { get; } = new();

    private int _asked = -1;

    public void Restart() => _asked = -1;

    public async ValueTask<ReadOnlyMemory<byte>> ExchangeAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        var number = Interlocked.Increment(ref _asked);
        await Before();
        cancellationToken.ThrowIfCancellationRequested();
        if (!Connected || LoseQuestion(number))
        {
            throw new IOException("the cable is cut");
        }

        Questions.Enqueue(request.ToArray());
        if (Twice)
        {
            await other().HandleAsync(request, cancellationToken);
        }

        var answer = await other().HandleAsync(request, cancellationToken);
        return LoseAnswer(number) ? throw new IOException("the cable is cut") : Tamper(answer);
    }
}
