using System.Xml.Linq;
using Shouldly;

namespace Qkd.Architecture.Tests;

/// <summary>
/// Holds the arrows between the projects. They are read from the project files, so a reference that is there but unused counts
/// as well, and a new project without a rule fails.
/// </summary>
public sealed class ProjectArrowsTests
{
    private static readonly string Root = FindRoot();

    private static readonly string[] Rooms = ["src", "drivers", "firmware-sim"];

    /// <summary>Attributes of a project file that name what it takes in.</summary>
    private static readonly string[] Taking = ["Include", "Update", "Project"];

    /// <summary>What each project may refer to directly. Everything else is forbidden.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Qkd.Devices"] = [],
        ["Qkd.Transports"] = ["Qkd.Devices"],
        ["Qkd.Timing"] = ["Qkd.Devices"],
        ["Qkd.Distillation"] = ["Qkd.Devices"],
        ["Qkd.Distillation.Tools"] = ["Qkd.Distillation", "Qkd.Devices"],
        ["Qkd.Link"] = ["Qkd.Distillation", "Qkd.Timing", "Qkd.Devices"],
        ["Qkd.Keys"] = ["Qkd.Distillation", "Qkd.Devices"],
        ["Qkd.Node"] = ["Qkd.Link", "Qkd.Keys", "Qkd.Transports", "Qkd.Timing", "Qkd.Distillation", "Qkd.Devices"],
        ["Qkd.Web"] = ["Qkd.Node", "Qkd.Keys", "Qkd.Devices", "Qkd.Link"],
        ["Qkd.Cli"] = ["Qkd.Web", "Qkd.Node", "Qkd.Sim.Bench", "drivers/*"],
        ["Qkd.Service"] = ["Qkd.Web", "Qkd.Node", "Qkd.Sim.Bench", "drivers/*"],
        ["drivers/*"] = ["Qkd.Devices", "Qkd.Transports"],
        ["Qkd.Sim.Optics"] = [],
        ["Qkd.Sim.Firmware"] = [],
        ["Qkd.Sim.Bench"] = ["Qkd.Sim.Optics", "Qkd.Sim.Firmware"],
    };

    public static TheoryData<string> Projects()
    {
        var data = new TheoryData<string>();
        foreach (var folder in Rooms)
        {
            foreach (var file in Directory.EnumerateFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories))
            {
                data.Add(Path.GetRelativePath(Root, file));
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void Every_project_refers_only_to_the_projects_it_may_know(string project)
    {
        var name = Path.GetFileNameWithoutExtension(project);
        var rule = name.StartsWith("Qkd.Drivers.", StringComparison.Ordinal) ? "drivers/*" : name;
        Allowed.ShouldContainKey(rule, $"{name} has no rule: decide where it stands");
        foreach (var reference in ReferencesOf(Path.Combine(Root, project)))
        {
            var target = reference.StartsWith("Qkd.Drivers.", StringComparison.Ordinal) ? "drivers/*" : reference;
            Allowed[rule].ShouldContain(target, $"{name} must not refer to {reference}");
        }
    }

    /// <summary>Another room's source or assembly, taken in without a project reference, would be an arrow that the rules above do not see.</summary>
    [Theory]
    [MemberData(nameof(Projects))]
    public void No_project_takes_files_from_another_room(string project)
    {
        var file = Path.Combine(Root, project);
        Foreign(XDocument.Load(file), Path.GetDirectoryName(file)!).ShouldBeEmpty(project);
    }

    [Theory]
    [InlineData("""<Compile Include="../Qkd.Keys/KeyStore.cs" />""")]
    [InlineData("""<Compile Include="..\Qkd.Keys\**\*.cs" LinkBase="Keys" />""")]
    [InlineData("""<Compile Include="Own.cs;$(MSBuildThisFileDirectory)../Qkd.Keys/KeyStore.cs" />""")]
    [InlineData("""<Compile Update="/src/Qkd.Keys/KeyStore.cs" />""")]
    [InlineData("""<None Include="../Qkd.Keys/KeyStore.cs" />""")]
    [InlineData("""<Content Include="../../src/Qkd.Keys/KeyStore.cs" />""")]
    [InlineData("""<EmbeddedResource Include="Sub/../../Qkd.Keys/KeyStore.cs" />""")]
    [InlineData("""<Reference Include="../Qkd.Keys/bin/Release/net10.0/Qkd.Keys.dll" />""")]
    [InlineData("""<Reference Include="Qkd.Keys" />""")]
    [InlineData("""<Reference Include="Other"><HintPath>../Qkd.Keys/bin/Qkd.Keys.dll</HintPath></Reference>""")]
    [InlineData("""<PackageReference Include="Qkd.Keys" />""")]
    public void Each_way_around_a_project_reference_is_seen(string item) =>
        Foreign(XDocument.Parse($"<Project><ItemGroup>{item}</ItemGroup></Project>"), Path.Combine(Root, "src/Qkd.Timing")).ShouldNotBeEmpty();

    [Fact]
    public void A_shared_part_of_a_project_file_is_seen() =>
        Foreign(XDocument.Parse("""<Project><Import Project="../Qkd.Keys/Keys.props" /></Project>"""), Path.Combine(Root, "src/Qkd.Timing")).ShouldNotBeEmpty();

    [Fact]
    public void What_is_a_project_s_own_and_the_shipped_configuration_may_be_taken_in()
    {
        var items = """
            <Project><ItemGroup>
              <Compile Remove="Old/**" /><None Include="Own/*.json" /><InternalsVisibleTo Include="Qkd.Timing.Tests" />
              <Content Include="../../config/*.json" LinkBase="config" /><ProjectReference Include="../Qkd.Devices/Qkd.Devices.csproj" />
            </ItemGroup></Project>
            """;
        Foreign(XDocument.Parse(items), Path.Combine(Root, "src/Qkd.Timing")).ShouldBeEmpty();
    }

    /// <summary>Rules for all projects stand at the root alone: below it they could bring anything into a project unseen.</summary>
    [Fact]
    public void Nothing_below_the_root_changes_projects_from_outside() =>
        Rooms
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Root, folder), "*", SearchOption.AllDirectories))
            .Where(file => Path.GetFileName(file).StartsWith("Directory.", StringComparison.OrdinalIgnoreCase))
            .ShouldBeEmpty();

    [Fact]
    public void Contracts_use_the_base_class_library_alone() =>
        PackagesOf(Path.Combine(Root, "src/Qkd.Devices/Qkd.Devices.csproj")).ShouldBeEmpty();

    [Fact]
    public void Pure_projects_take_no_package_that_does_input_or_output()
    {
        foreach (var pure in new[] { "src/Qkd.Timing/Qkd.Timing.csproj", "src/Qkd.Distillation/Qkd.Distillation.csproj", "firmware-sim/Qkd.Sim.Optics/Qkd.Sim.Optics.csproj" })
        {
            PackagesOf(Path.Combine(Root, pure)).ShouldBeSubsetOf(["MathNet.Numerics"], pure);
        }
    }

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var solution = File.ReadAllText(Path.Combine(Root, "Drivers.sln"));
        foreach (var folder in new[] { "src", "drivers", "firmware-sim", "tests" })
        {
            foreach (var file in Directory.EnumerateFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories))
            {
                solution.ShouldContain(Path.GetFileName(file));
            }
        }
    }

    /// <summary>What a project file takes in from outside its folder: files, assemblies, parts of project files. Project references are judged apart.</summary>
    private static IEnumerable<string> Foreign(XDocument project, string folder)
    {
        var config = Path.Combine(Root, "config") + Path.DirectorySeparatorChar;
        foreach (var element in project.Descendants().Where(element => element.Name.LocalName is not ("ProjectReference" or "InternalsVisibleTo")))
        {
            var name = element.Name.LocalName;
            var taken = Taking
                .Select(attribute => element.Attribute(attribute)?.Value)
                .Append(name == "HintPath" ? element.Value : null)
                .OfType<string>()
                .SelectMany(value => value.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
            foreach (var value in taken)
            {
                var path = value.Replace('\\', '/');
                var full = Path.GetFullPath(path.Replace("$(MSBuildThisFileDirectory)", "./").Replace("$(MSBuildProjectDirectory)", "."), folder);
                var inside = full.StartsWith(folder + Path.DirectorySeparatorChar, StringComparison.Ordinal) || full.StartsWith(config, StringComparison.Ordinal);
                var ours = name is "Reference" or "PackageReference" && path.StartsWith("Qkd.", StringComparison.OrdinalIgnoreCase);
                if (!inside || ours)
                {
                    yield return $"{name} {value}";
                }
            }
        }
    }

    private static IEnumerable<string> ReferencesOf(string file) =>
        XDocument.Load(file).Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/')));

    private static string[] PackagesOf(string file) =>
        [.. XDocument.Load(file).Descendants("PackageReference").Select(reference => reference.Attribute("Include")!.Value)];

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Directory.Build.props")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("The tests must run inside the source tree.");
    }
}
