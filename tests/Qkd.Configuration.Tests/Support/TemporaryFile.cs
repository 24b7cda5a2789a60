namespace Qkd.Configuration.Tests.Support;

/// <summary>A file with a text, as long as it is not disposed of.</summary>
internal sealed class TemporaryFile : IDisposable
{
    public TemporaryFile(string text) => File.WriteAllText(Name, text);

    public string Name { get; } = Path.Combine(Path.GetTempPath(), $"qkd-{Guid.NewGuid():N}.json");

    public void Dispose() => File.Delete(Name);
}
