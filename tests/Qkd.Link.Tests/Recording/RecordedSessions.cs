namespace Qkd.Link.Tests.Recording;

/// <summary>Tests that run and replay whole sessions, one after another and beside nothing else: the other tests of sessions count what happens within a time.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class RecordedSessions
{
    public const string Name = "recorded sessions";
}
