namespace Qkd.Keys.Tests.Store;

public sealed class RecordingKeyTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("qkd-recording-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_key_is_made_once_for_its_owner_alone_and_read_from_then_on()
    {
        var path = Path.Combine(_folder, "node", "recording.key");
        using var first = RecordingKey.OpenOrCreate(path);
        using var again = RecordingKey.OpenOrCreate(path);
        using var read = RecordingKey.Open(path);
        first.Bytes.Length.ShouldBe(RecordingKey.Length);
        again.Bytes.ToArray().ShouldBe(first.Bytes.ToArray());
        read.Bytes.ToArray().ShouldBe(first.Bytes.ToArray());
        first.Bytes.ContainsAnyExcept((byte)0).ShouldBeTrue();
        first.ToString()!.ShouldNotContain(Convert.ToBase64String(first.Bytes));
        if (!OperatingSystem.IsWindows())
        {
            File.GetUnixFileMode(path).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        first.Dispose();
        first.Bytes.ContainsAnyExcept((byte)0).ShouldBeFalse();
    }

    [Fact]
    public void A_key_that_others_may_read_is_refused()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var path = Path.Combine(_folder, "open.key");
        RecordingKey.OpenOrCreate(path).Dispose();
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        Should.Throw<KeyStoreException>(() => RecordingKey.OpenOrCreate(path)).Message.ShouldContain("0600");
        Should.Throw<KeyStoreException>(() => RecordingKey.Open(path)).Message.ShouldContain(path);
    }

    [Theory]
    [InlineData("")]
    [InlineData("not base64 at all")]
    [InlineData("AAAA")]
    [InlineData("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v")]
    public void What_is_no_key_is_refused(string content)
    {
        var path = Path.Combine(_folder, "odd.key");
        OwnerOnlyFile.Create(path, System.Text.Encoding.ASCII.GetBytes(content));
        Should.Throw<KeyStoreException>(() => RecordingKey.Open(path)).Message.ShouldContain("no key of recordings");
        Should.Throw<KeyStoreException>(() => RecordingKey.Open(path + "x")).Message.ShouldContain("There is no key");
    }

    [Fact]
    public void A_recording_s_file_is_its_owner_s_alone_and_never_overwrites()
    {
        var path = Path.Combine(_folder, "recordings");
        RecordingKey.EnsureFolder(path);
        var file = Path.Combine(path, "bob.qkdrec");
        using (var stream = RecordingKey.CreateFile(file))
        {
            stream.WriteByte(1);
        }

        if (!OperatingSystem.IsWindows())
        {
            File.GetUnixFileMode(file).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
            File.GetUnixFileMode(path).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        Should.Throw<IOException>(() => RecordingKey.CreateFile(file));
    }
}
